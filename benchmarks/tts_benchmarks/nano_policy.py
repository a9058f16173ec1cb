"""Nano policy: how often the embedded model is right, by family and level of difficulty.

Held-out problems of the split `test`. For each level pass@1, and where the most samples are taken
also pass@k and majority@k, each with a 95 % interval over problems.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tts.engine import Engine
from tts.result import Result
from tts.types import Problem
from tts_benchmarks.report import Cell, Report, levels
from tts_benchmarks.statistics import estimate, majority_share, pass_at_k
from tts_nano.problems import FAMILIES, LEVELS, MIDDLE, NanoProblem, Split, generate
from tts_strategies.best_of_n import BestOfN


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

    async def run(self, progress: Callable[[str, float], None]) -> Report:
        """`progress` hears what is being done and the share that is done, in [0, 1]."""
        parts = [
            (family, level)
            for family in self.families.split(",")
            for level in levels(self.levels, LEVELS)
        ]
        rows = []
        async with Engine(self.policy, seed=self.seed) as engine:
            for number, (family, level) in enumerate(parts):
                done = number / len(parts)
                progress(f"{family} {level}", done)
                rows.append(await self._row(engine, family, level))
        return Report(
            f"{self.policy} on held-out problems ({self.split}), temperature 1",
            self.columns,
            tuple(rows),
            (f"The middle level is {MIDDLE}. Intervals: 95 %, bootstrap over problems.",),
        )

    async def _row(self, engine: Engine, family: str, level: int) -> tuple[Cell, ...]:
        k = self.samples if level == MIDDLE else self.samples_elsewhere
        asked = [generate(family, level, seed, self.split) for seed in range(self.problems)]
        results = await engine.solve_all(
            [Problem(each.id, each.prompt) for each in asked], BestOfN(n=k), at_once=64
        )
        graded = [_grade(problem, result) for problem, result in zip(asked, results, strict=True)]
        once = estimate([pass_at_k(k, right, 1) for right, _ in graded], self.seed)
        if k < 2:
            return (family, level, self.problems, once, None, None, k)
        any_of = estimate([pass_at_k(k, right, k) for right, _ in graded], self.seed)
        majority = estimate([share for _, share in graded], self.seed)
        return (family, level, self.problems, once, any_of, majority, k)


def _grade(problem: NanoProblem, result: Result) -> tuple[int, float]:
    """How many samples are right, and the chance that the majority of them is."""
    right = [each.answer == problem.answer for each in result.candidates]
    labels = [each.label for each in result.candidates]
    truth = next((label for label, ok in zip(labels, right, strict=True) if ok), None)
    return sum(right), majority_share(labels, truth)
