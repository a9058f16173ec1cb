"""Nano progress: labels that come of rollouts against labels that are exact.

Relative progress estimation (GenPRM, sec. 3.2) and the rules that it is compared with label natural
solutions of the nano policy from the success rates of their prefixes; the problem family knows what
is right. Steps after the first wrong one are not counted: what they should be called is a matter of
taste.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import anyio

from tts.answers import AnswerChecker
from tts.backends.base import Backend
from tts.budget.meter import Meter
from tts.engine import Engine
from tts.errors import ConfigError
from tts.policy import LanguagePolicy
from tts.registry import open_backend
from tts.strategy import at_least, positive
from tts.study import Stage, Study
from tts.types import Problem
from tts_benchmarks.nano_solutions import solutions
from tts_benchmarks.processbench import Item
from tts_benchmarks.report import Cell, Report, families
from tts_benchmarks.statistics import estimate
from tts_nano.problems import FAMILIES, Split, label, problem_of
from tts_verifiers.synthesis.progress import Kind, Rule, Schedule
from tts_verifiers.synthesis.rollouts import Completer, Tally, as_steps

_FIRST_SEED = 500_000  # apart from the problems of other studies on the same split


@dataclass(frozen=True)
class Labelled:
    """A solution as far as its first wrong step, and the success rates of its prefixes."""

    rates: tuple[Fraction, ...]
    right: tuple[bool, ...]


@dataclass(frozen=True)
class NanoProgress:
    """Rules at several thresholds, on the same rollouts."""

    each: int = 20  # wrong and right solutions a family
    rollouts: float = 0.5  # share of the paper's 32 to 128 a prefix
    families: str = ",".join(FAMILIES)
    ratios: str = "0.2,0.4,0.6,0.8,0.9,1.0"
    differences: str = "0.1,0.2,0.3,0.5"
    split: Split = "dev"
    policy: str = "nano"
    at_once: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(1, each=self.each, at_once=self.at_once)
        at_least(0, seed=self.seed)
        positive(rollouts=self.rollouts)
        families(self.families, FAMILIES)
        _ = self._rules  # checks them

    @property
    def _rules(self) -> list[Rule]:
        """Raises:
        ConfigError: a threshold is no number.
        """
        kinds = (
            (Kind.RATIO, "ratios", self.ratios),
            (Kind.DIFFERENCE, "differences", self.differences),
        )
        rules = [Rule(Kind.HARD, 0.0)]
        for kind, knob, text in kinds:
            try:
                rules += [Rule(kind, float(each)) for each in text.split(",")]
            except ValueError:
                raise ConfigError(f"{knob}={text!r} must be numbers, such as 0.2,0.8") from None
        return rules

    async def run(self, study: Study) -> Report:
        """Sample, complete, label."""
        asked = families(self.families, FAMILIES)
        items = [await self._items(study, family) for family in asked]
        waves = await study.wave([self._stage(*each) for each in zip(asked, items, strict=True)])
        found = [each for wave in waves for each in wave]
        columns = ("rule", "steps labelled rightly", "wrong steps found", "right steps kept")
        steps = sum(len(each.right) for each in found)
        notes = (
            f"{len(found)} solutions, {steps} steps; {self.rollouts:g} x 32-128 rollouts each.",
            "Intervals: 95 %, bootstrap; right and wrong steps weigh as they occur.",
        )
        table = [self._row(rule, found) for rule in self._rules]
        return Report(f"Labels by rollouts, {self.families}", columns, tuple(table), notes)

    def _row(self, rule: Rule, found: Sequence[Labelled]) -> tuple[Cell, ...]:
        hits: dict[bool, list[float]] = {True: [], False: []}
        shares = []
        for each in found:
            said = rule.labels(each.rates)[: len(each.right)]
            same = [a == b for a, b in zip(said, each.right, strict=True)]
            shares.append(sum(same) / len(same))
            for agrees, truth in zip(same, each.right, strict=True):
                hits[truth].append(float(agrees))
        return (
            str(rule),
            estimate(shares, self.seed),
            estimate(hits[False], self.seed),
            estimate(hits[True], self.seed),
        )

    async def _items(self, study: Study, family: str) -> list[Item]:
        async def draw() -> list[Item]:
            async with Engine(self.policy, seed=self.seed) as engine:
                return await solutions(
                    engine, family, self.each, self.split, first_seed=_FIRST_SEED
                )

        return await study.same(f"solutions: {family}", list[Item], draw)

    def _stage(self, family: str, items: Sequence[Item]) -> Stage[Item, Labelled]:
        async def work(some: Sequence[Item], tell: Callable[[], None]) -> list[Labelled]:
            backend = open_backend(self.policy)
            policy = LanguagePolicy(backend)
            try:
                async with AnswerChecker() as checker:
                    completer = Completer(
                        policy,
                        checker,
                        schedule=Schedule(self.rollouts),
                        seed=self.seed,
                        at_once=self.at_once,
                    )
                    return await _complete_all(some, backend, completer, tell)
            finally:
                await policy.aclose()

        return Stage(family, items, Labelled, work)


async def _complete_all(
    items: Sequence[Item], backend: Backend, completer: Completer, tell: Callable[[], None]
) -> list[Labelled]:
    found: dict[int, Labelled] = {}

    async def complete(place: int, item: Item) -> None:
        nano = problem_of(item.id.partition("/")[0])
        asked, tally = Problem(nano.id, nano.prompt, nano.answer), Tally(Meter())
        whole = await completer.pass_rate(asked, tally)
        after = await completer.estimates(
            asked,
            item.id,
            as_steps(item.steps, backend.tokenizer, backend.model.dialect),
            whole.rate,
            tally,
        )
        right = label(nano, item.steps)
        until = len(right) if item.label < 0 else item.label + 1
        rates = (whole.rate, *(each.rate for each in after))
        found[place] = Labelled(rates, tuple(right[:until]))
        tell()

    async with anyio.create_task_group() as group:
        for place, item in enumerate(items):
            group.start_soon(complete, place, item)
    return [found[place] for place in range(len(items))]
