"""Best-of-N: N independent answers, of which a selector chooses (Cobbe et al. 2021, sec. 4).

With the `majority` selector this is self-consistency (Wang et al. 2023). There is no barrier: each
answer is judged as soon as it is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tts.strategy import COBBE, Bill, Search, at_least


@dataclass(frozen=True)
class BestOfN:
    """N answers."""

    n: int = 16  # N
    needs_verifier: ClassVar[bool] = False
    papers: ClassVar = (COBBE,)
    bill: ClassVar = Bill("n", "n * depth")

    def __post_init__(self) -> None:
        at_least(1, n=self.n)

    async def run(self, search: Search) -> None:
        await search.spread(lambda: search.complete(search.root), self.n)
