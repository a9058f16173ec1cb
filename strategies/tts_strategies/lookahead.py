"""Lookahead search: beam search whose scores come from k steps ahead (Snell et al. 2024, sec. 5.2).

From each candidate the policy goes on greedily for k steps, and the verdict on where it then is
decides about the candidate. The rollouts are dropped but paid for, so that a step of the beam costs
N x (k + 1) samples. They answer only if nothing else did. k = 0 is beam search.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tts.strategy import SNELL, Bill, Manner, Node, Search, at_least, in_turn

GREEDILY = Manner(temperature=0, scratch=True)


@dataclass(frozen=True)
class Lookahead:
    """N slots, M continuations of each prefix that is kept, rollouts of k steps."""

    n: int = 16  # N
    width: int = 4  # M
    steps: int = 1  # k
    needs_verifier: ClassVar[bool] = True
    papers: ClassVar = (SNELL,)
    bill: ClassVar = Bill(
        "n * (steps + 1) * depth", "n * (steps + 1) * depth", exact=False
    )  # ends are not rolled out

    def __post_init__(self) -> None:
        at_least(1, n=self.n, width=self.width)
        at_least(0, steps=self.steps)

    async def run(self, search: Search) -> None:
        shares, slots = {search.root: self.n}, self.n
        while shares:
            values = await self._look_ahead(search, shares)
            slots -= sum(child.finished for child in values)
            kept = [child for child in values if not child.finished]
            kept.sort(key=lambda child: (-values[child], child.key))
            shares = in_turn(slots, self.width, kept)

    async def _look_ahead(self, search: Search, shares: dict[Node, int]) -> dict[Node, float]:
        """The next candidates, and what is said of where each of them leads."""
        values: dict[Node, float] = {}
        parents = [parent for parent, share in shares.items() for _ in range(share)]
        places = iter(parents)

        async def candidate() -> None:
            (child,) = await search.expand(next(places), judge=False)
            ahead = child
            for _ in range(self.steps):
                if not ahead.finished:
                    (ahead,) = await search.expand(ahead, judge=False, manner=GREEDILY)
            values[child] = (await search.judge(ahead)).rank

        await search.spread(candidate, len(parents))
        return values
