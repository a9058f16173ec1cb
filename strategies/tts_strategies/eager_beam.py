"""Beam search that waits for no straggler it can do without (rule of Snell et al. 2024, sec. 5.2).

It grows exactly the tree of `Beam`, earlier. A prefix goes on as soon as its place in the beam is
certain: with b better ones known and u of its level still unknown, its share is at least what is
left of the slots when M are taken by each of the b + u. So the best prefixes do not wait for the
last N/M - 1 of their level, whatever these turn out to be, and nothing is begun that `Beam` would
not begin: the result does not depend on timing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from tts.strategy import SNELL, Bill, Node, Search, at_least, ranked


@dataclass
class _Level:
    """What is known of the prefixes of one depth."""

    open: list[Node] = field(default_factory=list)
    finished: int = 0
    begun: Counter[Node] = field(default_factory=Counter)  # children of each


@dataclass(frozen=True)
class EagerBeam:
    """N slots, M continuations of each prefix that is kept."""

    n: int = 16  # N
    width: int = 4  # M
    needs_verifier: ClassVar[bool] = True
    papers: ClassVar = (SNELL,)
    bill: ClassVar = Bill("n * depth", "n * depth")

    def __post_init__(self) -> None:
        at_least(1, n=self.n, width=self.width)

    async def run(self, search: Search) -> None:
        levels: defaultdict[int, _Level] = defaultdict(_Level)

        async def grow(parent: Node) -> None:
            (child,) = await search.expand(parent)
            level = levels[child.depth]
            level.finished += child.finished
            if not child.finished:
                level.open.append(child)
            certain = iter(parents := self._certain(levels))
            await search.spread(lambda: grow(next(certain)), len(parents))

        await search.spread(lambda: grow(search.root), self.n)

    def _certain(self, levels: Mapping[int, _Level]) -> list[Node]:
        """A parent for each child that is certain now, and was not before."""
        certain: list[Node] = []
        slots = total = self.n  # if less of the level before is known, the most that they can be
        complete = True
        for depth in sorted(levels):
            level = levels[depth]
            unknown = total - len(level.open) - level.finished
            slots -= level.finished
            for place, node in enumerate(ranked(level.open)):
                share = max(0, min(self.width, slots - self.width * (place + unknown)))
                certain += [node] * (share - level.begun[node])
                level.begun[node] = share
            complete = complete and unknown == 0
            total = level.begun.total() if complete else slots
        return certain
