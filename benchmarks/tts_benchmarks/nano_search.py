"""Nano search: what strategies and verifiers make of the same problems, and what they take.

Every arm solves the same held-out problems. Accuracy, and its difference to the first arm paired
by problem, each with a 95 % interval; the tokens and FLOPs of policy and verifier together; and the
share of the tokens that is in no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tts.budget.budget import UNLIMITED, Budget
from tts.engine import Engine
from tts.errors import ConfigError
from tts.result import Result
from tts.strategy import at_least
from tts.study import Stage, Study
from tts.types import Problem
from tts_benchmarks.report import Cell, Report, families, levels
from tts_benchmarks.statistics import difference, estimate
from tts_nano.problems import FAMILIES, LEVELS, MIDDLE, Split, generate

_FIRST_SEED = 200_000  # apart from the problems of other studies on the same split


@dataclass(frozen=True, slots=True)
class Searched:
    """What became of a problem. Tokens are counts, compute is in FLOPs."""

    answer: str | None
    policy_tokens: int
    verifier_tokens: int
    prompt_tokens: int
    cached_tokens: int
    flops: float
    wasted: float
    """Share of the tokens that is in no answer, 0..1."""


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

    def __post_init__(self) -> None:
        at_least(1, problems=self.problems, at_once=self.at_once)
        at_least(0, seed=self.seed)
        levels(self.levels, LEVELS)
        families(self.families, FAMILIES)

    async def run(self, study: Study) -> Report:
        """Run every arm."""
        asked = [
            generate(family, level, seed, self.split)
            for family in families(self.families, FAMILIES)
            for level in levels(self.levels, LEVELS)
            for seed in range(_FIRST_SEED, _FIRST_SEED + self.problems)
        ]
        truth = [problem.answer for problem in asked]
        problems = [Problem(problem.id, problem.prompt) for problem in asked]
        arms = self.arms.split()
        found = await study.wave([self._stage(arm, problems) for arm in arms])
        base: list[float] | None = None
        table: list[tuple[Cell, ...]] = []
        for arm, done in zip(arms, found, strict=True):
            right = [float(one.answer == answer) for one, answer in zip(done, truth, strict=True)]
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

    def _stage(self, arm: str, problems: Sequence[Problem]) -> Stage[Problem, Searched]:
        strategy, verifier, selector = _parts(arm)
        budget = Budget(tokens=self.tokens) if self.tokens else UNLIMITED

        async def work(some: Sequence[Problem], tell: Callable[[], None]) -> list[Searched]:
            async with Engine(self.policy, verifier, select=selector, seed=self.seed) as engine:
                results = await engine.solve_all(
                    some, strategy, budget, at_once=self.at_once, on_result=lambda _: tell()
                )
            return [_searched(result) for result in results]

        return Stage(arm, problems, Searched, work)

    def _row(
        self, arm: str, right: list[float], base: list[float], done: list[Searched]
    ) -> tuple[Cell, ...]:
        mean = 1 / len(done)
        prompt = sum(each.prompt_tokens for each in done)
        cached = sum(each.cached_tokens for each in done)
        return (
            arm,
            estimate(right, self.seed),
            None if right is base else difference(right, base, self.seed),
            round(mean * sum(each.policy_tokens for each in done)),
            round(mean * sum(each.verifier_tokens for each in done)),
            round(mean * sum(each.flops for each in done) / 1e6),
            cached / prompt if prompt else 0.0,
            mean * sum(each.wasted for each in done),
        )


def _searched(result: Result) -> Searched:
    policy, verifier = result.spend.policy, result.spend.verifier
    return Searched(
        result.answer,
        policy.output_tokens,
        verifier.output_tokens,
        policy.prompt_tokens + verifier.prompt_tokens,
        policy.cached_tokens + verifier.cached_tokens,
        result.spend.total.flops,
        result.spend.wasted_share,
    )


def _parts(arm: str) -> tuple[str, str | None, str | None]:
    parts = arm.split("/")
    if len(parts) > 3 or not parts[0]:
        raise ConfigError(f"{arm!r} is not strategy/verifier/selector")
    strategy, verifier, selector = (*parts, "", "")[:3]
    return strategy, verifier or None, selector or None
