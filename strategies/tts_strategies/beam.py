"""Beam search over steps against a process verifier (Snell et al. 2024, sec. 5.2).

Keep the best N/M prefixes, give each M continuations, keep the best N/M of those, and so on. A
finished solution leaves the beam with its slot, so that there are never more than N of them.

`decisive` cancels votes on a prefix as soon as they cannot bring it into the beam any more; the
beam is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tts.strategy import SNELL, Bill, Search, at_least, in_turn, ranked


@dataclass(frozen=True)
class Beam:
    """N slots, M continuations of each prefix that is kept."""

    n: int = 16  # N
    width: int = 4  # M
    decisive: bool = False
    needs_verifier: ClassVar[bool] = True
    papers: ClassVar = (SNELL,)
    bill: ClassVar = Bill("n * depth", "n * depth")

    def __post_init__(self) -> None:
        at_least(1, n=self.n, width=self.width)

    async def run(self, search: Search) -> None:
        shares, slots = {search.root: self.n}, self.n
        while shares:
            keep = -(-slots // self.width) if self.decisive else None
            level = await search.expand_all(shares, keep=keep)
            slots -= sum(node.finished for node in level)
            kept = ranked(node for node in level if not node.finished)
            shares = in_turn(slots, self.width, kept)
