"""What the author of a verifier imports: what is judged, what is given back, how it adds up."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, TypeVar

import anyio

from tts.backends.base import ModelInfo as ModelInfo
from tts.budget.meter import Meter as Meter
from tts.paper import ZHAO as ZHAO
from tts.paper import Paper as Paper
from tts.paper import cites as cites
from tts.seeds import vote_seed as vote_seed
from tts.types import RIGHT_FROM as RIGHT_FROM
from tts.types import Cost as Cost
from tts.types import Judgement as Judgement
from tts.types import Problem as Problem
from tts.types import Step as Step
from tts.types import Vote as Vote

Told = Callable[[tuple[Vote, ...], int], None]
"""Takes the votes given so far, from the first one on without a gap, and how many others there
will be; the step's score will be the mean of all, abstentions left out."""

_Opinion = TypeVar("_Opinion")


def without_gap(votes: Mapping[int, _Opinion]) -> tuple[_Opinion, ...]:
    """What was said by the first votes, up to the first of which nothing was heard yet."""
    given: list[_Opinion] = []
    while len(given) in votes:
        given.append(votes[len(given)])
    return tuple(given)


@dataclass(frozen=True, slots=True)
class Case:
    """A solution, or the beginning of one, put before a verifier."""

    problem: Problem
    steps: tuple[Step, ...]
    judged: tuple[Judgement | None, ...] = ()
    """What was said of the first `len(judged)` steps: the rest is to be judged now."""
    seeds: tuple[int, ...] = ()
    """One seed in [0, 2^63) for each step to be judged."""
    votes: int | None = None
    """How many votes each of them is to have, `heard` included; None: as many as are usual."""
    heard: tuple[Vote, ...] = ()
    """Votes that the first of them has already, with the same seed; what is said adds to them."""
    told: Told | None = field(default=None, compare=False)
    """To be told, after each vote on the last step but the last one, what was said of it so far.

    A verifier need not: then nobody can tell before it is through that it could stop.
    """


class Reduction(Enum):
    """How the verdicts on a path's steps become one score for the prefix (GenPRM, app. A.1)."""

    LAST = "last"
    MIN = "min"
    PRODUCT = "product"
    MEAN = "mean"

    def __call__(self, scores: Sequence[float | None]) -> float | None:
        """The score in [0, 1] of a prefix whose steps have `scores`; abstentions are left out."""
        given = [score for score in scores if score is not None]
        return _REDUCE[self](given) if given else None


_REDUCE: dict[Reduction, Callable[[list[float]], float]] = {
    Reduction.LAST: lambda scores: scores[-1],
    Reduction.MIN: min,
    Reduction.PRODUCT: math.prod,
    Reduction.MEAN: lambda scores: math.fsum(scores) / len(scores),
}


class Verifier(Protocol):
    """Judges the steps of solutions. Many cases are judged at once: keep no state between them."""

    @property
    def model(self) -> ModelInfo | None:
        """The model it asks; None if it asks none."""
        ...

    @property
    def reduction(self) -> Reduction:
        """How its verdicts on steps add up. LAST if each already speaks of the whole prefix."""
        ...

    @property
    def sampled(self) -> bool:
        """Whether another vote on a step can say something else. If not, `case.votes` is moot."""
        ...

    def bound(self, case: Case, more_tokens: int) -> Cost:
        """The most that `judge` can cost for `case` with a step of `more_tokens` appended.

        With `more_tokens` 0 nothing is appended: the case as it stands.
        """
        ...

    async def judge(self, case: Case, meter: Meter) -> Sequence[Judgement | None]:
        """Judge each step that is not judged yet, in order; None for a step it has no say on.

        What cannot be parsed abstains (a `Judgement` with score None and a reason). Costs are
        booked on `meter`, also when cancelled.
        """
        ...

    async def aclose(self) -> None:
        """Release engines and processes. Idempotent."""
        ...


class Closable(Protocol):
    """What holds engines or processes."""

    async def aclose(self) -> None: ...


async def closed(resource: Closable) -> None:
    """Close `resource`, also while the caller is being cancelled."""
    with anyio.CancelScope(shield=True):
        await resource.aclose()


@asynccontextmanager
async def opened(verifier: Verifier) -> AsyncIterator[Verifier]:
    """`verifier` ready for use, and closed at the end.

    One that has to start something first (a pool of processes, say) is an async context manager.
    """
    async with AsyncExitStack() as stack:
        stack.push_async_callback(closed, verifier)
        if isinstance(verifier, AbstractAsyncContextManager):
            await stack.enter_async_context(verifier)
        yield verifier
