"""Bench: a search on scripted models and a virtual clock, and checks of what it must hold."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import trio
import trio.testing

from tts.answers import Verdict
from tts.backends.base import Backend, Dialect, Request
from tts.backends.fake import FakeBackend, Script, ramble
from tts.backends.priced import Priced
from tts.budget.budget import Amount, Budget
from tts.budget.prices import Prices
from tts.events import Event, Held, Settled, replay
from tts.policy import LanguagePolicy
from tts.result import Result
from tts.run import Plan, Run
from tts.strategy import Strategy
from tts.terms import rates_of
from tts.tree import Tree
from tts.types import Account, Cost, Judgement, Problem
from tts.verifier import Case, Meter, ModelInfo, Reduction, Verifier

Delay = Callable[[Request, int], float]
PROBLEM = Problem("bench", "What is next?")
POLICY_PRICES = Prices(input=0.1, output=0.4, cached=0.025)
VERIFIER_PRICES = Prices(input=0.3, output=1.1)


class Verbatim:
    """Compares answers letter by letter: nothing here waits for a worker process."""

    async def equal(self, left: str, right: str) -> Verdict:
        return Verdict.EQUAL if left == right else Verdict.UNEQUAL


def stragglers(request: Request, seed: int) -> float:
    """Seconds for a sample: one in four takes fifty times as long as the others."""
    return 5.0 if random.Random(seed).random() < 0.25 else 0.1


@dataclass
class Opinions:
    """A verifier out of a function from the text so far to a score; it can be slow and costly."""

    score: Callable[[str], float | None] = field(default=lambda text: random.Random(text).random())
    seconds: float = 0.01
    tokens: int = 10
    in_flight: int = 0

    @property
    def model(self) -> ModelInfo | None:
        return ModelInfo("opinions", 500, 1 << 30, prices=VERIFIER_PRICES)

    @property
    def reduction(self) -> Reduction:
        return Reduction.LAST

    @property
    def sampled(self) -> bool:
        return False

    def bound(self, case: Case, more_tokens: int) -> Cost:
        new = len(case.steps) - len(case.judged) + (more_tokens > 0)
        return Cost(output_tokens=2 * self.tokens * new, samples=new, calls=new)

    async def judge(self, case: Case, meter: Meter) -> Sequence[Judgement | None]:
        verdicts = []
        self.in_flight += 1
        try:
            for end in range(len(case.judged) + 1, len(case.steps) + 1):
                with meter.call(Cost(output_tokens=2 * self.tokens, samples=1, calls=1)) as reading:
                    await trio.sleep(self.seconds)
                    reading.cost = Cost(output_tokens=self.tokens, samples=1, calls=1)
                text = "".join(step.text for step in case.steps[:end])
                verdicts.append(Judgement(self.score(text), cost=reading.cost))
        finally:
            self.in_flight -= 1
        return verdicts

    async def aclose(self) -> None:
        """Nothing to release."""


@dataclass
class Bench:
    """Everything that a search needs, with time that jumps from event to event."""

    script: Script = ramble
    delay: Delay | None = stragglers
    verifier: Verifier | None = field(default_factory=Opinions)
    seed: int = 0
    dialect: Dialect | None = None
    """How the policy is spoken to; None: it is told the problem and nothing else."""
    speculate: int = 0
    """Most continuations written at once before anybody has asked for them."""

    def solve(
        self,
        strategy: Strategy,
        budget: Budget | None = None,
        *,
        cancel_after: float | None = None,
    ) -> Result:
        """One search, checked against every invariant; cancelled `cancel_after` virtual seconds."""
        backend = FakeBackend(self.script, delay=self.delay)
        budget = budget or Budget(tokens=200_000)

        async def search() -> Result:
            run = Run(
                PROBLEM,
                Plan(strategy, budget, self.seed, speculate=self.speculate),
                LanguagePolicy(
                    cast("Backend", Priced(backend, POLICY_PRICES)), dialect=self.dialect
                ),
                self.verifier,
                Verbatim(),
            )
            async with trio.open_nursery() as nursery:

                async def cancel() -> None:
                    if cancel_after is not None:
                        await trio.sleep(cancel_after)
                        run.cancel()

                nursery.start_soon(cancel)
                result = await run()
                nursery.cancel_scope.cancel()
            return result

        result: Result = trio.run(search, clock=trio.testing.MockClock(autojump_threshold=0))
        assert backend.in_flight == 0, "requests are in flight after the search"
        if isinstance(self.verifier, Opinions):
            assert self.verifier.in_flight == 0, "judgements are in flight after the search"
        self.check_books(result.events, budget)
        assert shape(replay(result.events)) == shape(result.tree)
        return result

    def _model(self) -> ModelInfo:
        return replace(FakeBackend().model, prices=POLICY_PRICES)

    def check_books(self, events: Iterable[Event], budget: Budget) -> None:
        """At every event, what is spent and held is within the budget; nothing is held at last."""
        rates = rates_of(self._model(), None if self.verifier is None else self.verifier.model)
        held: dict[tuple[int, Account], Amount] = {}
        spent = Amount()
        for event in events:
            if isinstance(event, Held):
                for account, bound in event.bounds.items():
                    held[event.hold, account] = rates.amount(account, bound)
            elif isinstance(event, Settled):
                del held[event.hold, event.account]
                spent = spent.plus(rates.amount(event.account, event.cost))
            total = spent
            for amount in held.values():
                total = total.plus(amount)
            assert total.within(budget.amount), f"{total} is more than {budget} at {event}"
        assert not held, f"held after the search: {held}"


def shape(tree: Tree) -> dict[tuple[int, ...], tuple[object, ...]]:
    """All that a tree says, by key."""
    return {node.key: (node.step, node.judgement, node.score, node.manner) for node in tree}
