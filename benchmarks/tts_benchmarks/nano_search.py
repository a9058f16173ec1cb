"""Nano search: what strategies and verifiers make of the same problems, and what they take.

Every arm solves the same held-out problems. Accuracy, and its difference to the first arm paired
by problem, each with a 95 % interval; the tokens and FLOPs of policy and verifier together; and the
share of the tokens that is in no answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tts.budget.budget import UNLIMITED, Budget
from tts.engine import Engine
from tts.errors import ConfigError
from tts.result import Result
from tts.types import Problem
from tts_benchmarks.report import Cell, Report, levels
from tts_benchmarks.statistics import difference, estimate
from tts_nano.problems import FAMILIES, LEVELS, MIDDLE, Split, generate

_FIRST_SEED = 200_000  # apart from the problems of other studies on the same split


@dataclass(frozen=True)
class NanoSearch:
    """Arms are `strategy`, `strategy/verifier` or `strategy/verifier/selector`, with knobs."""

    arms: str = "best_of_n:n=16 best_of_n:n=16/genprm-nano beam:n=16,width=4/genprm-nano"
    problems: int = 300  # a family and level
    levels: str = str(MIDDLE)
    families: str = ",".join(FAMILIES)
    tokens: float = 0  # budget of each problem; 0: none
    split: Split = "test"
    policy: str = "nano"
    at_once: int = 48
    seed: int = 0

    async def run(self, progress: Callable[[str, float], None]) -> Report:
        """Run every arm; `progress` hears what is being done and how far it is."""
        asked = [
            generate(family, level, seed, self.split)
            for family in self.families.split(",")
            for level in levels(self.levels, LEVELS)
            for seed in range(_FIRST_SEED, _FIRST_SEED + self.problems)
        ]
        truth = {problem.id: problem.answer for problem in asked}
        problems = [Problem(problem.id, problem.prompt) for problem in asked]
        budget = Budget(tokens=self.tokens) if self.tokens else UNLIMITED
        base: list[float] | None = None
        table: list[tuple[Cell, ...]] = []
        for arm in self.arms.split():
            strategy, verifier, selector = _parts(arm)
            results: list[Result] = []

            def tell(result: Result, results: list[Result] = results, arm: str = arm) -> None:
                results.append(result)
                progress(arm, len(results) / len(problems))

            async with Engine(self.policy, verifier, select=selector, seed=self.seed) as engine:
                done = await engine.solve_all(
                    problems, strategy, budget, at_once=self.at_once, on_result=tell
                )
            right = [float(result.answer == truth[result.problem.id]) for result in done]
            base = right if base is None else base
            table.append(self._row(arm, right, base, done))
        columns = (
            "arm",
            "accuracy",
            "minus the first",
            "policy tokens",
            "verifier tokens",
            "MFLOPs",
            "cached",
            "in no answer",
        )
        notes = ("Tokens and FLOPs are means a problem. Intervals: 95 %, bootstrap over problems.",)
        title = f"{len(problems)} held-out problems of {self.families}, level {self.levels}"
        return Report(title, columns, tuple(table), notes)

    def _row(
        self, arm: str, right: list[float], base: list[float], done: list[Result]
    ) -> tuple[Cell, ...]:
        spends = [result.spend for result in done]
        mean = 1 / len(spends)
        prompt = sum(s.policy.prompt_tokens + s.verifier.prompt_tokens for s in spends)
        cached = sum(s.policy.cached_tokens + s.verifier.cached_tokens for s in spends)
        return (
            arm,
            estimate(right, self.seed),
            None if right is base else difference(right, base, self.seed),
            round(mean * sum(spend.policy.output_tokens for spend in spends)),
            round(mean * sum(spend.verifier.output_tokens for spend in spends)),
            round(mean * sum(spend.total.flops for spend in spends) / 1e6),
            cached / prompt if prompt else 0.0,
            mean * sum(spend.wasted_share for spend in spends),
        )


def _parts(arm: str) -> tuple[str, str | None, str | None]:
    parts = arm.split("/")
    if len(parts) > 3 or not parts[0]:
        raise ConfigError(f"{arm!r} is not strategy/verifier/selector")
    strategy, verifier, selector = (*parts, "", "")[:3]
    return strategy, verifier or None, selector or None
