"""Nano policy: how often the embedded model is right, by family and level of difficulty.

Held-out problems of the split `test`. For each level pass@1, and where the most samples are taken
also pass@k and majority@k, each with a 95 % interval over problems.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tts.engine import Engine
from tts.result import Result
from tts.strategy import at_least
from tts.study import Stage, Study
from tts.types import Problem
from tts_benchmarks.report import Cell, Report, families, levels
from tts_benchmarks.statistics import estimate, majority_share, pass_at_k
from tts_nano.problems import FAMILIES, LEVELS, MIDDLE, NanoProblem, Split, generate
from tts_strategies.best_of_n import BestOfN


@dataclass(frozen=True, slots=True)
class Graded:
    """How many samples of a problem are right, and the chance that the majority of them is."""

    right: int
    majority: float


@dataclass(frozen=True)
class NanoPolicy:
    """Samples solutions and grades them."""

    problems: int = 300  # a family and level
    samples: int = 16  # a problem of the middle level
    samples_elsewhere: int = 4
    levels: str = f"{LEVELS[0]}-{LEVELS[-1]}"
    families: str = ",".join(FAMILIES)
    split: Split = "test"
    policy: str = "nano"
    seed: int = 0
    columns: tuple[str, ...] = field(
        default=("family", "level", "problems", "pass@1", "pass@k", "majority@k", "k"), init=False
    )

    def __post_init__(self) -> None:
        at_least(1, problems=self.problems, samples=self.samples)
        at_least(1, samples_elsewhere=self.samples_elsewhere)
        at_least(0, seed=self.seed)
        levels(self.levels, LEVELS)
        families(self.families, FAMILIES)

    async def run(self, study: Study) -> Report:
        """Sample and grade, as many of each problem as its level asks for."""
        parts = [
            (family, level)
            for family in families(self.families, FAMILIES)
            for level in levels(self.levels, LEVELS)
        ]
        kinds = sorted({self._samples(level) for _, level in parts}, reverse=True)
        asked = [
            [
                generate(*part, seed, self.split)
                for part in parts
                if self._samples(part[1]) == k
                for seed in range(self.problems)
            ]
            for k in kinds
        ]
        found = await study.wave(
            [self._stage(k, problems) for k, problems in zip(kinds, asked, strict=True)]
        )
        graded = {k: iter(each) for k, each in zip(kinds, found, strict=True)}
        rows = [
            self._row(*part, [next(graded[self._samples(part[1])]) for _ in range(self.problems)])
            for part in parts
        ]
        return Report(
            f"{self.policy} on held-out problems ({self.split}), temperature 1",
            self.columns,
            tuple(rows),
            (f"The middle level is {MIDDLE}. Intervals: 95 %, bootstrap over problems.",),
        )

    def _samples(self, level: int) -> int:
        return self.samples if level == MIDDLE else self.samples_elsewhere

    def _stage(self, k: int, problems: Sequence[NanoProblem]) -> Stage[NanoProblem, Graded]:
        async def work(some: Sequence[NanoProblem], tell: Callable[[], None]) -> list[Graded]:
            async with Engine(self.policy, seed=self.seed) as engine:
                results = await engine.solve_all(
                    [Problem(each.id, each.prompt) for each in some],
                    BestOfN(n=k),
                    at_once=64,
                    on_result=lambda _: tell(),
                )
            return [_grade(problem, result) for problem, result in zip(some, results, strict=True)]

        return Stage(f"{k} samples each", problems, Graded, work)

    def _row(self, family: str, level: int, graded: list[Graded]) -> tuple[Cell, ...]:
        k = self._samples(level)
        once = estimate([pass_at_k(k, each.right, 1) for each in graded], self.seed)
        if k < 2:
            return (family, level, self.problems, once, None, None, k)
        any_of = estimate([pass_at_k(k, each.right, k) for each in graded], self.seed)
        majority = estimate([each.majority for each in graded], self.seed)
        return (family, level, self.problems, once, any_of, majority, k)


def _grade(problem: NanoProblem, result: Result) -> Graded:
    right = [each.answer == problem.answer for each in result.candidates]
    labels = [each.label for each in result.candidates]
    truth = next((label for label, ok in zip(labels, right, strict=True) if ok), None)
    return Graded(sum(right), majority_share(labels, truth))
