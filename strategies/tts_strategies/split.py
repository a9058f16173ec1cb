"""Fixed split: S samples, V votes on every step of each (Singhi et al. 2025, arXiv 2504.01005).

What a study of compute-optimal scaling varies; `by_law` chooses the pair by a law. With V = 0 it is
self-consistency.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tts.strategy import Bill, Paper, Search, at_least

SINGHI = Paper(
    "When To Solve, When To Verify: Compute-Optimal Problem Solving and Generative Verification "
    "for LLM Reasoning",
    ("Nishad Singhi", "Hritik Bansal", "Arian Hosseini", "Aditya Grover", "others"),
    2025,
    arxiv="2504.01005",
)


@dataclass(frozen=True)
class Split:
    """S samples, V votes."""

    samples: int = 8  # S
    votes: int = 1  # V
    needs_verifier: ClassVar[bool] = False
    papers: ClassVar = (SINGHI,)
    bill: ClassVar = Bill("samples", "samples * depth * votes", exact=False)

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
