"""REBASE: reward-balanced search (Wu et al. 2024, arXiv 2408.00724, sec. 3.2, alg. 1).

The width is shared out among the open prefixes by the softmax of their scores: good ones get many
children, bad ones few or none. Each finished solution narrows the width by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tts.strategy import Bill, Paper, Search, at_least, in_proportion, positive

WU = Paper(
    "Inference Scaling Laws: An Empirical Analysis of Compute-Optimal Inference for "
    "Problem-Solving with Language Models",
    ("Yangzhen Wu", "Zhiqing Sun", "Shanda Li", "Sean Welleck", "Yiming Yang"),
    2024,
    arxiv="2408.00724",
)


@dataclass(frozen=True)
class Rebase:
    """Width N, balance temperature T_b: towards 0 all goes to the best, high values share alike."""

    n: int = 16  # N
    temperature: float = 0.2  # T_b
    needs_verifier: ClassVar[bool] = True
    papers: ClassVar = (WU,)
    bill: ClassVar = Bill("n * depth", "n * depth")

    def __post_init__(self) -> None:
        at_least(1, n=self.n)
        positive(temperature=self.temperature)

    async def run(self, search: Search) -> None:
        width = self.n
        level = await search.expand(search.root, width)
        while level:
            width -= sum(node.finished for node in level)
            open_prefixes = [node for node in level if not node.finished]
            shares = in_proportion(width, open_prefixes, self.temperature)
            level = await search.expand_all(shares)
