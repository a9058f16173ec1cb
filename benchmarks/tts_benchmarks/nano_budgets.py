"""Nano budgets: accuracy against compute, for every way of spending it.

Every arm solves the same held-out problems at each budget of FLOPs, policy and verifier together.
Fixed pairs (S samples, V votes) are whatever a budget pays for; strategies are as wide as a budget
pays for on average. What has to be chosen, the best V, the widths and the rates of the verifier
that the online scheduler believes in, is chosen on other problems (`dev`). A sample that two arms
ask for is drawn once and paid for by both, each as if it had the engine to itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from tts.budget.evidence import Evidence
from tts.budget.prior import Outcomes, with_prior
from tts.config import make
from tts.spec import parse
from tts.strategy import Strategy, at_least, positive
from tts.study import Study
from tts_benchmarks.nano_shop import Bought, Shop, Work
from tts_benchmarks.report import Cell, Report, families, levels
from tts_benchmarks.statistics import difference, estimate
from tts_nano.problems import FAMILIES, LEVELS, MIDDLE, NanoProblem, Split, generate
from tts_strategies.split import Split as Fixed
from tts_strategies.value_of_information import ValueOfInformation

_PLAIN, _ONLINE, _FIXED = "self-consistency", "voi", "best fixed"
_FIRST_SEED = 400_000  # apart from the problems of other studies on the same split
_PRICED_AT, _PRICED_ON = 8, 40  # width and problems for prices and the verifier's rates
_ALL = 256  # samples that no budget here pays for
_LEAST_RATE = 0.02  # no verifier is believed to be surer than that, however it did on few problems


@dataclass(frozen=True)
class NanoBudgets:
    """Budgets double from `least` MFLOPs, `octaves` times."""

    least: float = 1000.0
    octaves: int = 5
    strategies: str = (
        "best_of_n:n={n} beam:n={n},width=4 dvts:n={n},width=4 rebase:n={n} particles:n={n}"
        " refine:n={n},turns=3 ab_mcts:n={n} mcts:simulations={n},width=4,workers=4 ets:n={n}"
        " eager_beam:n={n},width=4 lookahead:n={n},width=4"
    )
    """Specs of those that are guided by the verifier; `{n}` stands for the width."""
    alone: str = (
        "adaptive_consistency:n={n} early_stopping:n={n} deepconf:n={n},warmup=4,window=16"
        " rstar:rollouts={n}"
    )
    """Specs of those that are run without it."""
    problems: int = 300  # a level
    chosen_on: int = 100  # problems of `dev`, a level, for what has to be chosen
    family: str = "reduction"
    levels: str = f"{MIDDLE},{LEVELS[-1]}"
    policy: str = "nano"
    verifier: str = "nano:verifier"
    votes: str = "0,1,2,4"
    at_once: int = 48
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(1, problems=self.problems, chosen_on=self.chosen_on, at_once=self.at_once)
        at_least(0, octaves=self.octaves, seed=self.seed)
        positive(least=self.least)
        levels(self.levels, LEVELS)
        families(self.family, FAMILIES)

    async def run(self, study: Study) -> Report:
        """Choose on `dev`, then show: two waves."""
        async with AsyncExitStack() as stack:
            shop = Shop(self.policy, self.verifier, self.seed, self.at_once, stack)
            rounds = [_Round(self, level) for level in levels(self.levels, LEVELS)]
            tried = iter(await study.wave([each for r in rounds for each in r.trials(shop)]))
            for each in rounds:
                each.choose(tried)
            shown = iter(await study.wave([each for r in rounds for each in r.shows(shop)]))
            rows = [row for each in rounds for row in each.rows(shown)]
        columns = (
            "level",
            "MFLOPs",
            "arm",
            "accuracy",
            f"minus {_PLAIN}",
            f"minus {_FIXED}",
            "spent",
            "solutions",
            "in no answer",
        )
        notes = (
            "Budgets are hard, a problem each; spent, solutions and the share of tokens that is in",
            "no answer are means. Intervals: 95 %, bootstrap over problems, differences paired.",
            f"{_FIXED}: V of {self.votes} votes on each of as many samples as are paid for, the",
            f"best on {self.chosen_on} problems of dev at that budget, as are the widths n.",
            *(each.note for each in rounds),
            f"No problem took more than {max(each.most for each in rounds):.4f} of its budget.",
        )
        title = f"{self.problems} held-out problems of {self.family} a level"
        return Report(title, columns, tuple(rows), notes)

    @property
    def budgets(self) -> list[float]:
        """In MFLOPs."""
        return [self.least * 2**octave for octave in range(self.octaves + 1)]

    @property
    def counts(self) -> list[int]:
        """Of votes, tried as V."""
        return [int(each) for each in self.votes.split(",")]

    def drawn(self, level: int, split: Split, count: int) -> list[NanoProblem]:
        """The problems of a level."""
        return [
            generate(self.family, level, seed, split)
            for seed in range(_FIRST_SEED, _FIRST_SEED + count)
        ]


@dataclass(frozen=True, slots=True)
class _Arm:
    """A way of spending a budget."""

    budget: float  # MFLOPs
    name: str
    strategy: Strategy
    alone: bool = False  # without the verifier


class _Round:
    """Everything about one level."""

    def __init__(self, knobs: NanoBudgets, level: int) -> None:
        self._knobs = knobs
        self._level = level
        self._dev = knobs.drawn(level, "dev", knobs.chosen_on)
        self._test = knobs.drawn(level, "test", knobs.problems)
        self._alone = knobs.alone.split()
        self._templates = [*knobs.strategies.split(), *self._alone]
        self._arms: list[_Arm] = []
        self.note = ""
        """What was chosen, for people."""
        self.most = 0.0
        """Share of a budget, the largest that a problem took."""

    def trials(self, shop: Shop) -> Iterator[Work]:
        """What has to be known before arms are chosen."""
        for budget in self._knobs.budgets:
            for count in self._knobs.counts:
                name = f"level {self._level}, V={count} on dev"
                yield shop.stage(name, budget, self._dev, Fixed(_ALL, count))
        some = self._dev[:_PRICED_ON]
        yield shop.stage(f"level {self._level}, verdicts on dev", None, some, Fixed(_PRICED_AT, 1))
        for template in self._templates:
            name = f"level {self._level}, price of {template}"
            strategy, alone = _wide(template, _PRICED_AT), template in self._alone
            yield shop.stage(name, None, some, strategy, alone=alone)

    def choose(self, tried: Iterator[list[Bought]]) -> None:
        """The arms, by what `trials` found."""
        budgets, counts = self._knobs.budgets, self._knobs.counts
        pairs = [[next(tried) for _ in counts] for _ in budgets]
        online = self._online(next(tried))
        self.note = (
            f"{_ONLINE} at level {self._level}: approves_right={online.approves_right:.3f},"
            f"approves_wrong={online.approves_wrong:.3f},successes={online.successes:.2f},"
            f"failures={online.failures:.2f},scatter={online.scatter:.2f}, as found on dev."
        )
        prices = [_mean(each.flops for each in next(tried)) / _PRICED_AT for _ in self._templates]
        for budget, found in zip(budgets, pairs, strict=True):
            right = [sum(_right(self._dev, bought)) for bought in found]
            best = counts[right.index(max(right))]
            self._arms += [
                _Arm(budget, _PLAIN, Fixed(_ALL, 0)),
                _Arm(budget, f"{_FIXED}: V={best}", Fixed(_ALL, best)),
                _Arm(budget, _ONLINE, online),
            ]
            for template, price in zip(self._templates, prices, strict=True):
                n = _width(template, int(budget * 1e6 / price))
                alone = template in self._alone
                self._arms.append(_Arm(budget, template.format(n=n), _wide(template, n), alone))

    def shows(self, shop: Shop) -> Iterator[Work]:
        """The arms on the held-out problems."""
        for arm in self._arms:
            stage = f"level {self._level}, {arm.name}"
            yield shop.stage(stage, arm.budget, self._test, arm.strategy, alone=arm.alone)

    def rows(self, shown: Iterator[list[Bought]]) -> Iterator[tuple[Cell, ...]]:
        """One for each arm."""
        seed = self._knobs.seed
        plain = fixed = [0.0]
        for arm in self._arms:
            bought = next(shown)
            right = _right(self._test, bought)
            share = max(each.flops for each in bought) / (arm.budget * 1e6)
            self.most = max(self.most, share)
            plain = right if arm.name == _PLAIN else plain
            fixed = right if arm.name.startswith(_FIXED) else fixed
            yield (
                self._level,
                f"{arm.budget:.0f}",
                arm.name,
                estimate(right, seed),
                None if right is plain else difference(right, plain, seed),
                None if right is plain or right is fixed else difference(right, fixed, seed),
                round(_mean(each.flops for each in bought) / 1e6),
                round(_mean(each.solutions for each in bought), 1),
                _mean(each.wasted for each in bought),
            )

    def _online(self, tried: Sequence[Bought]) -> ValueOfInformation:
        """The scheduler, told of the policy and of its verifier what they did on `dev`.

        Without a budget: it would cut votes off before they have approved a right solution more
        often than before they have found an error.
        """
        heard: dict[bool, list[bool]] = {True: [], False: []}
        for problem, bought in zip(self._dev, tried, strict=False):
            for answer, approved in bought.approved:
                heard[answer == problem.answer].append(approved)
        right, wrong = (
            min(max(_mean(heard[kind]), _LEAST_RATE), 1 - _LEAST_RATE) if heard[kind] else 0.5
            for kind in (True, False)
        )
        known = with_prior(
            Evidence(right, wrong),
            [_outcomes(*pair) for pair in zip(self._dev, tried, strict=False)],
        )
        return ValueOfInformation(
            approves_right=known.approves_right,
            approves_wrong=known.approves_wrong,
            successes=known.successes,
            failures=known.failures,
            scatter=known.scatter,
            votes=max(1, *self._knobs.counts),
        )


def _outcomes(problem: NanoProblem, bought: Bought) -> Outcomes:
    given = Counter(answer for answer, _ in bought.approved)
    right = given.pop(problem.answer, 0)
    return Outcomes(right, tuple(given.values()), bought.solutions - len(bought.approved))


def _width(template: str, n: int) -> int:
    """At most `n`, as far as the strategy can be so narrow: a multiple of its `width`."""
    step = int(parse(template).knobs.get("width", "1"))
    return max(step, n // step * step)


def _wide(template: str, n: int) -> Strategy:
    strategy: Strategy = make("strategies", template.format(n=_width(template, n)))
    return strategy


def _right(problems: Sequence[NanoProblem], bought: Sequence[Bought]) -> list[float]:
    return [
        float(each.answer == problem.answer) for problem, each in zip(problems, bought, strict=True)
    ]


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)
