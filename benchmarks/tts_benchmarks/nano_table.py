"""Nano table: which strategy is best at each budget, for problems of each difficulty.

Difficulty is what `pilot` samples tell of a problem: the share of them that agree on one answer.
These samples are taken first by every arm, paid for, and stay candidates, as in the strategy
`table`, which uses what this finds (`--out table.json`). It is found on problems of `dev`: what
the choice is worth is to be seen on others, by `tts bench nano_search`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from tts.answers import AnswerChecker, group
from tts.budget.budget import written
from tts.budget.table import agreement
from tts.engine import Engine
from tts.errors import ConfigError
from tts.result import Result
from tts.strategy import Search, at_least
from tts.types import Problem
from tts_benchmarks.report import Cell, Report, families, levels
from tts_benchmarks.statistics import estimate
from tts_nano.problems import FAMILIES, LEVELS, Split, generate

_FIRST_SEED = 600_000  # apart from the problems of other studies on the same split


@dataclass(frozen=True)
class Piloted:
    """`pilot` samples, then another strategy."""

    pilot: int
    then: str
    needs_verifier: ClassVar[bool] = False

    async def run(self, search: Search) -> None:
        await search.spread(lambda: search.complete(search.root, judge=False), self.pilot)
        await search.follow(self.then)


@dataclass(frozen=True)
class NanoTable:
    """Every arm (a strategy with its knobs) at every budget, on the same problems."""

    arms: str = "best_of_n:n=256 beam:n=16,width=4 dvts:n=16,width=4"
    budgets: str = "tokens=2k tokens=4k tokens=8k"
    bins: int = 3  # of agreement, each as wide as the others
    pilot: int = 4
    problems: int = 100  # a family and level
    levels: str = "2-6"
    families: str = ",".join(FAMILIES)
    split: Split = "dev"
    policy: str = "nano"
    verifier: str = "genprm-nano"  # empty: none
    at_once: int = 48
    seed: int = 0

    def __post_init__(self) -> None:
        if self.bins < 1 or self.pilot < 2:
            raise ConfigError(f"bins={self.bins} must be at least 1, pilot={self.pilot} at least 2")
        at_least(1, problems=self.problems)
        at_least(0, seed=self.seed)
        levels(self.levels, LEVELS)
        families(self.families, FAMILIES)

    async def run(self, progress: Callable[[str, float], None]) -> Report:
        """Run everything; `progress` hears what is being done and how far it is."""
        asked = [
            generate(family, level, seed, self.split)
            for family in families(self.families, FAMILIES)
            for level in levels(self.levels, LEVELS)
            for seed in range(_FIRST_SEED, _FIRST_SEED + self.problems)
        ]
        truth = {problem.id: problem.answer for problem in asked}
        problems = [Problem(problem.id, problem.prompt) for problem in asked]
        rows: list[tuple[Cell, ...]] = []
        async with Engine(self.policy, self.verifier or None, seed=self.seed) as engine:
            for budget in self.budgets.split():
                for arm in self.arms.split():
                    name, done = f"{arm} for {budget}", list[Result]()

                    def tell(result: Result, done: list[Result] = done, name: str = name) -> None:
                        done.append(result)
                        progress(name, len(done) / len(problems))

                    results = await engine.solve_all(
                        problems,
                        Piloted(self.pilot, arm),
                        written(budget),
                        at_once=self.at_once,
                        on_result=tell,
                    )
                    rows += await self._rows(arm, budget, results, truth)
        columns = ("strategy", "budget", "agreement from", "agreement to", "accuracy", "MFLOPs")
        notes = (
            f"Agreement is of the first {self.pilot} samples. Intervals: 95 %, over problems.",
            "Use it: --strategy table:path=FILE, with what --out FILE has written.",
        )
        title = f"{len(problems)} problems of {self.split}: {self.families}, level {self.levels}"
        return Report(title, columns, tuple(rows), notes)

    async def _rows(
        self, arm: str, budget: str, results: list[Result], truth: Mapping[str, str | None]
    ) -> list[tuple[Cell, ...]]:
        """One for each bin that holds a problem."""
        found: dict[int, list[Result]] = {}
        async with AnswerChecker(workers=0) as checker:  # integers: notation decides
            for result in results:
                first = [each.answer for each in result.candidates if each.key[0] < self.pilot]
                labels = list((await group(first, checker)).labels)
                labels += [None] * (self.pilot - len(labels))  # the budget had no room for more
                place = min(int(agreement(labels) * self.bins), self.bins - 1)
                found.setdefault(place, []).append(result)
        return [
            (
                arm,
                budget,
                place / self.bins,
                (place + 1) / self.bins,
                estimate([float(r.answer == truth[r.problem.id]) for r in found[place]], self.seed),
                round(sum(r.spend.total.flops for r in found[place]) / len(found[place]) / 1e6),
            )
            for place in sorted(found)
        ]
