"""Diverse verifier tree search (Beeching et al. 2024): N/M greedy subtrees that never compete.

Each subtree samples M steps, goes on from the best and forgets the rest. Subtrees do not wait for
one another.

`decisive` cancels votes on a step as soon as they cannot make it the best of its siblings any more;
the subtrees are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tts.strategy import Bill, Paper, Search, at_least

BEECHING = Paper(
    "Scaling Test-Time Compute with Open Models",
    ("Edward Beeching", "Lewis Tunstall", "Sasha Rush"),
    2024,
    venue="Hugging Face",
    url="https://huggingface.co/spaces/HuggingFaceH4/blogpost-scaling-test-time-compute",
)


@dataclass(frozen=True)
class DVTS:
    """N/M subtrees (at least one), M candidates for each step."""

    n: int = 16  # N
    width: int = 4  # M
    decisive: bool = False
    needs_verifier: ClassVar[bool] = True
    papers: ClassVar = (BEECHING,)
    bill: ClassVar = Bill(
        "max(1, n // width) * width * depth", "max(1, n // width) * width * depth"
    )

    def __post_init__(self) -> None:
        at_least(1, n=self.n, width=self.width)

    async def run(self, search: Search) -> None:
        async def subtree() -> None:
            node, keep = search.root, 1 if self.decisive else None
            while not node.finished:
                children = await search.expand(node, self.width, keep=keep)
                node = max(children, key=lambda child: child.rank)

        await search.spread(subtree, max(1, self.n // self.width))
