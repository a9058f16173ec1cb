"""Rationale: a teacher's critique of a solution, step by step, as the verifier shall learn it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from tts.budget.meter import Meter
from tts.types import Problem


@dataclass(frozen=True, slots=True)
class Passage:
    """What is said of one step."""

    text: str
    """The assistant's whole turn: analysis, code, its real output, and the verdict."""
    right: bool
    """The verdict."""


@dataclass(frozen=True, slots=True)
class Rationale:
    """A critique of a solution from its first step on, or why there is none."""

    passages: tuple[Passage, ...] = ()
    """For each step in order. May end with the first wrong step: nothing is said of the rest."""
    refused: str = ""
    """Why it cannot be used; empty if it can."""

    @property
    def first_wrong(self) -> int | None:
        """Index from 0; None if no step is called wrong."""
        wrong = (index for index, passage in enumerate(self.passages) if not passage.right)
        return next(wrong, None)


class Teacher(Protocol):
    """Judges solutions and gives its reasons. Many at once: keeps no state between them."""

    @property
    def name(self) -> str:
        """Names it in a journal: a teacher of another name writes something else."""
        ...

    async def judge(
        self, problem: Problem, steps: Sequence[str], *, seed: int, meter: Meter
    ) -> Rationale:
        """Criticise a solution. What cannot be used is a refusal, not an error.

        Args:
            problem: without its answer.
            steps: texts, without delimiters.
            seed: decides all of it.
            meter: what it takes is booked there, also when it is cancelled.

        Raises:
            Overlong: the solution does not fit its context window.
            BackendError: its engine failed.
        """
        ...

    async def aclose(self) -> None:
        """Release its engine. Idempotent."""
        ...


Writer = Callable[[Problem, Sequence[str], int], Awaitable[Rationale]]
"""From a problem, the texts of a solution's steps and a seed to a critique."""


class FunctionTeacher:
    """A teacher out of a coroutine function, such as exact templates. Its cost is its own."""

    def __init__(self, write: Writer, name: str | None = None) -> None:
        """`name` defaults to the function's."""
        self._write = write
        module = getattr(write, "__module__", "")
        self.name = name or f"{module}:{getattr(write, '__qualname__', type(write).__name__)}"

    async def judge(
        self, problem: Problem, steps: Sequence[str], *, seed: int, meter: Meter
    ) -> Rationale:
        return await self._write(replace(problem, answer=None), steps, seed)

    async def aclose(self) -> None:
        """Nothing to release."""
