"""Fixed split: S samples, V votes on every step of each (Singhi et al. 2025, arXiv 2504.01005).

What a study of compute-optimal scaling varies; `by_law` chooses the pair by a law. With V = 0 it is
self-consistency.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tts.strategy import SINGHI, Bill, Search, at_least


@dataclass(frozen=True)
class Split:
    """S samples, V votes."""

    samples: int = 8  # S
    votes: int = 1  # V
    needs_verifier: ClassVar[bool] = False
    papers: ClassVar = (SINGHI,)
    bill: ClassVar = Bill("samples", "samples * depth", exact=False, votes="votes")

    def __post_init__(self) -> None:
        at_least(1, samples=self.samples)
        at_least(0, votes=self.votes)

    async def run(self, search: Search) -> None:
        async def one() -> None:
            end = await search.complete(search.root, judge=False)
            if self.votes:
                for step in end.path():
                    await search.judge(step, self.votes)

        await search.spread(one, self.samples)
