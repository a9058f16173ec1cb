"""Meter: where a call books what it took, whether it returns, fails or is cancelled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tts.types import FREE, Cost


@dataclass(slots=True)
class Reading:
    """One call's cost, unknown until the engine tells it."""

    cost: Cost | None = None


@dataclass(slots=True)
class Meter:
    """Sums the costs of the calls made for one hold."""

    cost: Cost = field(default=FREE)
    known: int = 0
    """Leading tokens of every prompt that were computed before for the same search."""
    wasted: Cost = field(default=FREE)
    """Of this, what calls took that gave nothing, because they were cancelled or failed."""

    def add(self, other: Meter) -> None:
        """Book all that is on `other`, which is that of one request where `known` is set."""
        self.cost += other.cost.where_known(self.known)
        self.wasted += other.wasted

    def lose(self, other: Meter) -> None:
        """Book all that is on `other`, whose calls gave what will not be used."""
        cost = other.cost.where_known(self.known)
        self.cost += cost
        self.wasted += cost

    @contextmanager
    def call(self, bound: Cost) -> Iterator[Reading]:
        """Book one call, whichever way the block is left.

        Set `reading.cost` as soon as it is known. A call that ends without (cancelled, dead
        engine) is charged `bound`, the most it can have cost: never too little. What was
        known of the prompt, by `bound` or by `known`, and the engine did not have, is booked as
        computed again.
        """
        reading, lost = Reading(), True
        try:
            yield reading
            lost = False
        finally:
            cost = bound if reading.cost is None else reading.cost
            cost = cost.where_known(max(self.known, bound.recomputed_tokens))
            self.cost += cost
            if lost:
                self.wasted += cost
