"""REBASE: reward-balanced search (Wu et al. 2024, arXiv 2408.00724, sec. 3.2, alg. 1).

The width is shared out among the open prefixes by the softmax of their scores: good ones get many
children, bad ones few or none. Each finished solution narrows the width by one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from tts.strategy import Node, Search, at_least, positive


@dataclass(frozen=True)
class Rebase:
    """Width N, balance temperature T_b: towards 0 all goes to the best, high values share alike."""

    n: int = 16  # N
    temperature: float = 0.2  # T_b
    needs_verifier: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(1, n=self.n)
        positive(temperature=self.temperature)

    async def run(self, search: Search) -> None:
        width = self.n
        level = await search.expand(search.root, width)
        while level:
            width -= sum(node.finished for node in level)
            open_prefixes = [node for node in level if not node.finished]
            level = await search.expand_all(self.share_out(width, open_prefixes))

    def share_out(self, width: int, nodes: list[Node]) -> dict[Node, int]:
        """Children for each node, best first, rounded up until exactly `width` are given out."""
        ranked = sorted(nodes, key=lambda node: node.rank, reverse=True)
        best = ranked[0].rank if ranked else 0.0
        # The best score is taken off before exp, so that nothing overflows and the sum is >= 1.
        weights = [math.exp((node.rank - best) / self.temperature) for node in ranked]
        shares: dict[Node, int] = {}
        for index, node in enumerate(ranked):
            part = weights[index] / math.fsum(weights[index:])  # exactly 1 for the last
            share = min(width, math.ceil(width * part))
            if share > 0:
                shares[node] = share
            width -= share
        return shares
