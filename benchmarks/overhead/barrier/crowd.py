"""Crowd: many problems at once on a simulated machine, and how busy they kept it.

The share of slots that are busy is taken from the beginning to the *final drain*: the moment from
which on fewer problems are in progress than may be at once, because there are none left to begin.
What idles after that is a lack of work; what idles before it is a barrier.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import anyio
import trio
import trio.testing

from tts.budget.budget import UNLIMITED, Budget
from tts.policy import LanguagePolicy
from tts.result import Result
from tts.run import Plan, Run
from tts.strategy import Strategy
from tts.testing.bench import Verbatim
from tts.testing.machine import Machine, Panel, Slotted, at_random, stragglers
from tts.tree import Tree
from tts.types import Problem

Work = Callable[[list[Problem], Callable[[], None]], Awaitable[None]]
"""Solves a batch, and says so when a problem of it is done."""


@dataclass
class Tally:
    """What a crowd came to."""

    busy: float = 0.0
    """Share of the slots x seconds before the final drain, in [0, 1]."""
    drained_from: float = 0.0
    """Seconds from the beginning."""
    seconds: float = 0.0
    """Until the last problem was done."""
    trees: dict[str, Tree] = field(default_factory=dict)
    """By problem."""
    results: list[Result] = field(default_factory=list)


@dataclass(frozen=True)
class Crowd:
    """The world in which strategies are compared."""

    slots: int = 64
    at_once: int = 64
    problems: int = 128
    votes: int = 1
    pace: Callable[[int], float] = stragglers
    budget: Budget = UNLIMITED
    speculate: int = 0
    likely: Callable[[str], float] = at_random
    """P(a vote says Yes) on a text."""

    def models(self) -> tuple[Machine, LanguagePolicy, Panel]:
        """A policy and a verifier on one machine."""
        machine = Machine(self.slots, self.pace)
        return (
            machine,
            LanguagePolicy(Slotted(machine, long_steps)),
            Panel(machine, self.votes, likely=self.likely),
        )

    def asked(self) -> list[Problem]:
        return [Problem(f"p{number}", f"Question {number}?") for number in range(self.problems)]

    def search(self, strategy: Strategy) -> Tally:
        """Every problem by `strategy`, in virtual time."""

        async def run(tally: Tally) -> None:
            machine, policy, panel = self.models()
            plan = Plan(strategy, self.budget, 0, speculate=self.speculate)

            async def one(batch: list[Problem], done: Callable[[], None]) -> None:
                run = Run(batch[0], plan, policy, panel, Verbatim())
                result = await run()
                tally.results.append(result)
                tally.trees[result.problem.id] = result.tree
                done()

            await self.flow(machine, [[each] for each in self.asked()], tally, one)

        return in_virtual_time(run)

    async def flow(
        self,
        machine: Machine,
        batches: Sequence[list[Problem]],
        tally: Tally,
        work: Work,
    ) -> None:
        """`work` on batches, side by side as far as `at_once` problems allow."""
        waiting, side_by_side = iter(batches), max(1, self.at_once // len(batches[0]))
        begin = anyio.current_time()
        left = len(batches)

        def done() -> None:
            if not left and not tally.drained_from:
                tally.drained_from = anyio.current_time() - begin
                tally.busy = machine.busy_seconds / (self.slots * tally.drained_from)

        async def worker() -> None:
            nonlocal left
            for batch in waiting:
                left -= 1
                await work(batch, done)

        async with anyio.create_task_group() as group:
            for _ in range(side_by_side):
                group.start_soon(worker)
        tally.seconds = anyio.current_time() - begin


def in_virtual_time(run: Callable[[Tally], Awaitable[None]]) -> Tally:
    """What `run` writes down, on a clock that jumps from event to event."""
    tally = Tally()
    trio.run(run, tally, clock=trio.testing.MockClock(autojump_threshold=0))
    return tally


def long_steps(text: str, seed: int) -> str:
    """Two to six steps of 10 to 60 characters, then one of four answers."""
    import random

    chance = random.Random(seed)
    steps = text.count("\n\n")
    lines = ["x" * chance.randint(10, 60) for _ in range(chance.randint(2, 6) - steps)]
    return "\n\n".join([*lines, f"\\boxed{{{chance.randrange(4)}}}"])
