"""Nano budgets: accuracy against compute, when the same compute can buy samples or votes.

Every arm solves the same held-out problems at each budget of FLOPs, policy and verifier together.
Fixed pairs (S samples, V votes) are whatever a budget pays for; the best of them is chosen on
problems of their own (`dev`) and then shown on the held-out ones, beside self-consistency and the
online scheduler. A sample that two arms ask for is drawn once and paid for by both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from tts.backends.memory import Memory
from tts.budget.budget import Budget
from tts.engine import Engine
from tts.policy import LanguagePolicy
from tts.registry import open_backend
from tts.strategy import Strategy
from tts.study import Stage, Study
from tts.types import Problem
from tts.verifier import Reduction
from tts_benchmarks.report import Cell, Report
from tts_benchmarks.statistics import difference, estimate
from tts_nano.problems import MIDDLE, NanoProblem, Split, generate
from tts_strategies.split import Split as Fixed
from tts_strategies.value_of_information import ValueOfInformation
from tts_verifiers.genprm import PROFILES, Effort, GenPRM, Mode
from tts_verifiers.genprm.sandbox import SandboxRunner

_PLAIN, _ONLINE = "self-consistency", "online"
_FIRST_SEED = 400_000  # apart from the problems of other studies on the same split


@dataclass(frozen=True, slots=True)
class Bought:
    """What a problem's budget bought."""

    answer: str | None
    flops: float
    solutions: int


@dataclass(frozen=True)
class NanoBudgets:
    """Budgets double from `least` MFLOPs, `octaves` times."""

    least: float = 6000.0
    octaves: int = 4
    problems: int = 300
    chosen_on: int = 150  # problems of `dev` for the choice of a fixed pair
    family: str = "reduction"
    level: int = MIDDLE
    policy: str = "nano"
    verifier: str = "nano:verifier"
    votes: str = "0,1,2,4"
    approves_right: float = 0.9
    approves_wrong: float = 0.15
    correlation: float = 0.5
    scatter: float = 4.0
    at_once: int = 32
    seed: int = 0

    async def run(self, study: Study) -> Report:
        """Choose on `dev`, then show: two waves."""
        votes = [int(each) for each in self.votes.split(",")]
        pairs = {count: Fixed(256, count) for count in votes}
        online = ValueOfInformation(
            approves_right=self.approves_right,
            approves_wrong=self.approves_wrong,
            correlation=self.correlation,
            scatter=self.scatter,
            votes=max(votes),
        )
        chosen, shown = self._drawn("dev", self.chosen_on), self._drawn("test", self.problems)
        budgets = [self.least * 2**octave for octave in range(self.octaves)]
        rows: list[tuple[Cell, ...]] = []
        async with AsyncExitStack() as stack:
            shop = _Shop(self, stack)
            tried = await study.wave(
                [
                    shop.stage(f"V={count}, chosen on dev", budget, chosen, pair)
                    for budget in budgets
                    for count, pair in pairs.items()
                ]
            )
            best = [
                max(enumerate(votes), key=lambda vote: sum(_right(chosen, tried[at + vote[0]])))[1]
                for at in range(0, len(tried), len(votes))
            ]
            arms: list[tuple[float, str, Strategy]] = []
            for budget, count in zip(budgets, best, strict=True):
                arms.append((budget, _PLAIN, pairs[0]))
                if count:
                    arms.append((budget, f"best fixed: V={count}", pairs[count]))
                arms.append((budget, _ONLINE, online))
            found = await study.wave(
                [shop.stage(name, budget, shown, strategy) for budget, name, strategy in arms]
            )
        plain = fixed = [0.0]
        for (budget, name, _), bought in zip(arms, found, strict=True):
            right = _right(shown, bought)
            if name == _PLAIN:
                plain = right
            rows.append(
                (
                    f"{budget:.0f}",
                    name,
                    estimate(right, self.seed),
                    None if name == _PLAIN else difference(right, plain, self.seed),
                    difference(right, fixed, self.seed) if name == _ONLINE else None,
                    round(sum(each.flops for each in bought) / len(bought) / 1e6),
                    _mean([each.solutions for each in bought]),
                )
            )
            fixed = right
        columns = (
            "MFLOPs",
            "arm",
            "accuracy",
            "minus self-consistency",
            "minus best fixed",
            "spent",
            "solutions",
        )
        notes = (
            "Budgets are hard, a problem each. Intervals: 95 %, bootstrap over problems.",
            f"The fixed pair is the best of V in {self.votes} on {self.chosen_on} problems of dev.",
        )
        title = f"{self.problems} held-out problems of {self.family}, level {self.level}"
        return Report(title, columns, tuple(rows), notes)

    def _drawn(self, split: Split, count: int) -> list[NanoProblem]:
        return [
            generate(self.family, self.level, seed, split)
            for seed in range(_FIRST_SEED, _FIRST_SEED + count)
        ]

    def engine(self) -> Engine:
        """Models that remember what they were asked."""
        policy = LanguagePolicy(Memory(open_backend(self.policy)))
        effort = Effort(
            Mode.CODE,
            tokens=256,
            rounds=2,
            step_tokens=256,
            output_characters=200,
            stop_at_wrong=True,
        )
        judge = GenPRM(
            Memory(open_backend(self.verifier)),
            PROFILES["nano"],
            effort,
            runner=SandboxRunner(),
            reduction=Reduction.MIN,
        )
        return Engine(policy, judge, seed=self.seed)


@dataclass
class _Shop:
    """The engine of all stages, opened by the first that works."""

    knobs: NanoBudgets
    stack: AsyncExitStack
    engine: list[Engine] = field(default_factory=list)

    def stage(
        self, name: str, budget: float, problems: Sequence[NanoProblem], strategy: Strategy
    ) -> Stage[NanoProblem, Bought]:
        """`strategy` on `problems`, with `budget` MFLOPs for each."""

        async def work(some: Sequence[NanoProblem], tell: Callable[[], None]) -> list[Bought]:
            if not self.engine:
                self.engine.append(await self.stack.enter_async_context(self.knobs.engine()))
            results = await self.engine[0].solve_all(
                [Problem(each.id, each.prompt) for each in some],
                strategy,
                Budget(flops=budget * 1e6),
                at_once=self.knobs.at_once,
                on_result=lambda _: tell(),
            )
            return [
                Bought(each.answer, each.spend.total.flops, len(each.candidates))
                for each in results
            ]

        return Stage(f"{budget:.0f} MFLOPs, {name}", problems, Bought, work)


def _right(problems: Sequence[NanoProblem], bought: Sequence[Bought]) -> list[float]:
    return [
        float(each.answer == problem.answer) for problem, each in zip(problems, bought, strict=True)
    ]


def _mean(values: list[int]) -> float:
    return round(sum(values) / len(values), 1)
