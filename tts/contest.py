"""Contest: which of several steps can still be among the best, while votes on them come in.

Each contestant's score lies between what it would be if all votes to come said No and if all said
Yes. As soon as so many others are certain to rank before it that it cannot be among those kept, the
votes that are still outstanding on it decide nothing any more, and its scope is cancelled, down to
the engine. Those that are kept are the same as with all votes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio

from tts.types import Judgement, Key, Vote


@dataclass(eq=False, slots=True)
class Contestant:
    """A step that is being voted on."""

    key: Key
    reduce: Callable[[float | None], float | None]
    """From a score of its own to that of its prefix; never falls where the former rises."""
    heard: Callable[[], None]
    """Called when a vote on it was heard."""
    low: float = -1.0
    """Least rank that it can still get; -1: it may stay without any verdict."""
    high: float = 1.0
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    """Of the verifier's work on it."""
    votes: tuple[Vote, ...] = ()
    """Heard until now."""

    def hear(self, votes: tuple[Vote, ...], due: int) -> None:
        """`votes` were given so far, and `due` are still to come, each of which may abstain."""
        self.votes = votes
        scores = [vote.score for vote in votes if vote.score is not None]
        if scores:
            # Added up as the mean will be, so that no bound is missed by a rounding.
            number = len(scores) + due
            self._between(math.fsum(scores) / number, math.fsum([*scores, *[1.0] * due]) / number)
            self.heard()

    def end(self, rank: float) -> None:
        """The verifier has spoken, or was cut short."""
        self.low = self.high = rank
        self.heard()

    def cut_short(self) -> Judgement | None:
        """What there is if no more votes come; None without any verdict."""
        scores = [vote.score for vote in self.votes if vote.score is not None]
        if not scores:
            return None
        reason = "votes that could decide nothing any more were not waited for"
        return Judgement(math.fsum(scores) / len(scores), self.votes, reason)

    def _between(self, low: float, high: float) -> None:
        least, most = self.reduce(low), self.reduce(high)
        self.low = -1.0 if least is None else least
        self.high = 1.0 if most is None else most


Reduce = Callable[[Sequence[float | None]], float | None]
"""As `tts.verifier.Reduction`."""


class Contest:
    """Contestants of which the `keep` best by rank, then key, are all that matters."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._contestants: list[Contestant] = []

    def enter(self, key: Key, before: Sequence[float | None], reduction: Reduce) -> Contestant:
        """A step to be judged, after others of its path with the scores `before`."""

        def reduce(score: float | None) -> float | None:
            return reduction([*before, score])

        contestant = Contestant(key, reduce, self._settle)
        most = reduce(1.0)
        contestant.high = 1.0 if most is None else most
        self._contestants.append(contestant)
        self._settle()
        return contestant

    def _settle(self) -> None:
        """Cut short whoever can no longer be kept."""
        if len(self._contestants) <= self._keep:
            return
        surest = sorted((-each.low, each.key) for each in self._contestants)
        bar = surest[self._keep - 1] if self._keep else (-math.inf, ())
        for each in self._contestants:
            if (-each.high, each.key) > bar and not each.scope.cancel_called:
                each.scope.cancel()
