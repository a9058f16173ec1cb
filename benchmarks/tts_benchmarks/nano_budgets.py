"""Nano budgets: accuracy against compute, for every way of spending it.

Every arm solves the same held-out problems at each budget of FLOPs, policy and verifier together.
Fixed pairs (S samples, V votes) are whatever a budget pays for; strategies are as wide as a budget
pays for on average. What has to be chosen, the best V, the widths and the rates of the verifier
that the online scheduler believes in, is chosen on other problems (`dev`). A sample that two arms
ask for is drawn once and paid for by both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from tts.backends.memory import Memory
from tts.budget.budget import UNLIMITED, Budget
from tts.config import make
from tts.engine import Engine
from tts.policy import LanguagePolicy
from tts.registry import open_backend
from tts.result import Result
from tts.spec import parse
from tts.strategy import Strategy
from tts.study import Stage, Study
from tts.types import RIGHT_FROM, Problem
from tts.verifier import Reduction
from tts_benchmarks.report import Cell, Report, levels
from tts_benchmarks.statistics import difference, estimate
from tts_nano.problems import LEVELS, MIDDLE, NanoProblem, Split, generate
from tts_strategies.split import Split as Fixed
from tts_strategies.value_of_information import ValueOfInformation
from tts_verifiers.genprm import NANO, PROFILES, GenPRM
from tts_verifiers.genprm.sandbox import SandboxRunner

_PLAIN, _ONLINE, _FIXED = "self-consistency", "voi", "best fixed"
_FIRST_SEED = 400_000  # apart from the problems of other studies on the same split
_PRICED_AT, _PRICED_ON = 8, 40  # width and problems for the price of a strategy's width
_ALL = 256  # samples that no budget here pays for
_LEAST_RATE = 0.02  # no verifier is believed to be surer than that, however it did on few problems


@dataclass(frozen=True, slots=True)
class Bought:
    """What a problem's budget bought."""

    answer: str | None
    flops: float
    solutions: int
    wasted: float
    """Share of the tokens that is in no answer, 0..1."""
    approved: tuple[tuple[str | None, bool], ...]
    """The answer of each solution that was judged, and whether it was found right."""


Work = Stage[NanoProblem, Bought]


@dataclass(frozen=True)
class NanoBudgets:
    """Budgets double from `least` MFLOPs, `octaves` times."""

    least: float = 750.0
    octaves: int = 5
    strategies: str = "beam:n={n},width=4 dvts:n={n},width=4"
    """Specs; `{n}` stands for the width."""
    problems: int = 300  # a level
    chosen_on: int = 150  # problems of `dev`, a level, for what has to be chosen
    family: str = "reduction"
    levels: str = f"{MIDDLE},{LEVELS[-1]}"
    policy: str = "nano"
    verifier: str = "nano:verifier"
    votes: str = "0,1,2,4"
    scatter: float = 4.0
    at_once: int = 48
    seed: int = 0

    async def run(self, study: Study) -> Report:
        """Choose on `dev`, then show: two waves."""
        async with AsyncExitStack() as stack:
            shop = _Shop(self, stack)
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

    def engine(self) -> Engine:
        """Models that remember what they were asked."""
        judge = GenPRM(
            Memory(open_backend(self.verifier)),
            PROFILES["nano"],
            NANO,
            runner=SandboxRunner(),
            reduction=Reduction.MIN,
        )
        return Engine(LanguagePolicy(Memory(open_backend(self.policy))), judge, seed=self.seed)


class _Round:
    """Everything about one level."""

    def __init__(self, knobs: NanoBudgets, level: int) -> None:
        self._knobs = knobs
        self._level = level
        self._dev = knobs.drawn(level, "dev", knobs.chosen_on)
        self._test = knobs.drawn(level, "test", knobs.problems)
        self._templates = knobs.strategies.split()
        self._arms: list[tuple[float, str, Strategy]] = []

    def trials(self, shop: _Shop) -> Iterator[Work]:
        """What has to be known before arms are chosen."""
        for budget in self._knobs.budgets:
            for count in self._knobs.counts:
                name = f"level {self._level}, V={count} on dev"
                yield shop.stage(name, budget, self._dev, Fixed(_ALL, count))
        for template in self._templates:
            name = f"level {self._level}, price of {template}"
            some = self._dev[:_PRICED_ON]
            yield shop.stage(name, None, some, _wide(template, _PRICED_AT))

    def choose(self, tried: Iterator[list[Bought]]) -> None:
        """The arms, by what `trials` found."""
        budgets, counts = self._knobs.budgets, self._knobs.counts
        pairs = [[next(tried) for _ in counts] for _ in budgets]
        prices = [_mean(each.flops for each in next(tried)) / _PRICED_AT for _ in self._templates]
        online = self._online([each for found in pairs for bought in found for each in bought])
        for budget, found in zip(budgets, pairs, strict=True):
            right = [sum(_right(self._dev, bought)) for bought in found]
            best = counts[right.index(max(right))]
            self._arms.append((budget, _PLAIN, Fixed(_ALL, 0)))
            self._arms.append((budget, f"{_FIXED}: V={best}", Fixed(_ALL, best)))
            self._arms.append((budget, _ONLINE, online))
            for template, price in zip(self._templates, prices, strict=True):
                n = _width(template, int(budget * 1e6 / price))
                self._arms.append((budget, template.format(n=n), _wide(template, n)))

    def shows(self, shop: _Shop) -> Iterator[Work]:
        """The arms on the held-out problems."""
        for budget, name, strategy in self._arms:
            yield shop.stage(f"level {self._level}, {name}", budget, self._test, strategy)

    def rows(self, shown: Iterator[list[Bought]]) -> Iterator[tuple[Cell, ...]]:
        """One for each arm."""
        seed = self._knobs.seed
        plain = fixed = [0.0]
        for budget, name, _ in self._arms:
            bought = next(shown)
            right = _right(self._test, bought)
            plain = right if name == _PLAIN else plain
            fixed = right if name.startswith(_FIXED) else fixed
            yield (
                self._level,
                f"{budget:.0f}",
                name,
                estimate(right, seed),
                None if right is plain else difference(right, plain, seed),
                None if right is plain or right is fixed else difference(right, fixed, seed),
                round(_mean(each.flops for each in bought) / 1e6),
                round(_mean(each.solutions for each in bought), 1),
                _mean(each.wasted for each in bought),
            )

    def _online(self, tried: Sequence[Bought]) -> ValueOfInformation:
        """The scheduler, told how often right and wrong solutions of `dev` were found right."""
        heard: dict[bool, list[bool]] = {True: [], False: []}
        for at, bought in enumerate(tried):
            for answer, approved in bought.approved:
                heard[answer == self._dev[at % len(self._dev)].answer].append(approved)
        right, wrong = (
            min(max(_mean(heard[kind]), _LEAST_RATE), 1 - _LEAST_RATE) if heard[kind] else 0.5
            for kind in (True, False)
        )
        return ValueOfInformation(
            approves_right=right,
            approves_wrong=wrong,
            scatter=self._knobs.scatter,
            votes=max(1, *self._knobs.counts),
        )


@dataclass
class _Shop:
    """The engine of all stages, opened by the first that works."""

    knobs: NanoBudgets
    stack: AsyncExitStack
    engine: list[Engine] = field(default_factory=list)

    def stage(
        self, name: str, budget: float | None, problems: Sequence[NanoProblem], strategy: Strategy
    ) -> Work:
        """`strategy` on `problems`, with `budget` MFLOPs for each; None: as many as it takes."""
        limit = UNLIMITED if budget is None else Budget(flops=budget * 1e6)

        async def work(some: Sequence[NanoProblem], tell: Callable[[], None]) -> list[Bought]:
            if not self.engine:
                self.engine.append(await self.stack.enter_async_context(self.knobs.engine()))
            results = await self.engine[0].solve_all(
                [Problem(each.id, each.prompt) for each in some],
                strategy,
                limit,
                at_once=self.knobs.at_once,
                on_result=lambda _: tell(),
            )
            return [_bought(each) for each in results]

        return Stage(f"{budget or 0:.0f} MFLOPs, {name}", problems, Bought, work)


def _bought(result: Result) -> Bought:
    judged = (each for each in result.candidates if each.score is not None)
    return Bought(
        result.answer,
        result.spend.total.flops,
        len(result.candidates),
        result.spend.wasted_share,
        tuple((each.answer, (each.score or 0.0) >= RIGHT_FROM) for each in judged),
    )


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
