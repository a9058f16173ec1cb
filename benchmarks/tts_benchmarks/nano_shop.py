"""Nano shop: what a budget buys each of many problems; its models remember their samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from tts.backends.memory import Memory
from tts.budget.budget import UNLIMITED, Budget
from tts.engine import Engine
from tts.policy import LanguagePolicy
from tts.registry import open_backend
from tts.result import Result
from tts.strategy import Strategy
from tts.study import Stage
from tts.types import RIGHT_FROM, Problem
from tts.verifier import Reduction
from tts_nano.problems import NanoProblem
from tts_verifiers.genprm import NANO, PROFILES, GenPRM
from tts_verifiers.genprm.sandbox import SandboxRunner


@dataclass(frozen=True, slots=True)
class Bought:
    """What a problem's budget bought."""

    answer: str | None
    flops: float
    solutions: int
    wasted: float
    """Share of the tokens that is in no answer, 0..1."""
    approved: tuple[tuple[str | None, bool], ...]
    """The answer of each solution that was judged to its end, and whether it was found right."""

    @classmethod
    def of(cls, result: Result) -> Bought:
        """What there is to tell of a search."""
        judged = (
            each for each in result.candidates if each.score is not None and each.covered == 1
        )
        return cls(
            result.answer,
            result.spend.total.flops,
            len(result.candidates),
            result.spend.wasted_share,
            tuple((each.answer, (each.score or 0.0) >= RIGHT_FROM) for each in judged),
        )


Work = Stage[NanoProblem, Bought]


@dataclass
class Shop:
    """The engines of all stages, each opened by the first that works with it."""

    policy: str
    verifier: str
    seed: int
    at_once: int
    stack: AsyncExitStack
    engines: dict[bool, Engine] = field(default_factory=dict)
    """By whether the policy is alone."""
    memories: dict[str, Memory] = field(default_factory=dict)
    """By the model's name."""

    def stage(
        self,
        name: str,
        budget: float | None,
        problems: Sequence[NanoProblem],
        strategy: Strategy,
        *,
        alone: bool = False,
    ) -> Work:
        """`strategy` on `problems`, with `budget` MFLOPs for each; None: as many as it takes.

        `alone` is without the verifier.
        """
        limit = UNLIMITED if budget is None else Budget(flops=budget * 1e6)

        async def work(some: Sequence[NanoProblem], tell: Callable[[], None]) -> list[Bought]:
            if alone not in self.engines:
                self.engines[alone] = await self.stack.enter_async_context(self._engine(alone))
            for memory in self.memories.values():
                memory.anew()
            results = await self.engines[alone].solve_all(
                [Problem(each.id, each.prompt) for each in some],
                strategy,
                limit,
                at_once=self.at_once,
                on_result=lambda _: tell(),
            )
            return [Bought.of(each) for each in results]

        return Stage(f"{budget or 0:.0f} MFLOPs, {name}", problems, Bought, work)

    def _engine(self, alone: bool) -> Engine:
        """Models that remember what they were asked."""
        policy = LanguagePolicy(self._remembering(self.policy))
        if alone:
            return Engine(policy, seed=self.seed)
        judge = GenPRM(
            self._remembering(self.verifier),
            PROFILES["nano"],
            NANO,
            runner=SandboxRunner(),
            reduction=Reduction.MIN,
        )
        return Engine(policy, judge, seed=self.seed)

    def _remembering(self, name: str) -> Memory:
        if name not in self.memories:
            self.memories[name] = Memory(open_backend(name))
        return self.memories[name]
