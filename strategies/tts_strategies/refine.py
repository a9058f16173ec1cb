"""Refinement by a critic, turn after turn (Zhao et al. 2025, sec. 4.3; Madaan et al. 2023).

A solution is judged step by step. A policy that takes instructions is shown it, with the critique
of the first step judged wrong, and writes a new one; one that takes none goes on after the last
step before that. A chain ends when no step of its last solution is judged wrong, after `turns`
revisions, or when the policy's context is full.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tts.strategy import ZHAO, Bill, Paper, Revising, Search, at_least

MADAAN = Paper(
    "Self-Refine: Iterative Refinement with Self-Feedback",
    ("Aman Madaan", "Niket Tandon", "Prakhar Gupta", "Skyler Hallinan", "others"),
    2023,
    arxiv="2303.17651",
)


@dataclass(frozen=True)
class Refine:
    """N chains side by side, each of a first solution and at most `turns` more."""

    n: int = 1  # N
    turns: int = 3
    how: Revising = Revising.AUTO
    needs_verifier: ClassVar[bool] = True
    papers: ClassVar = (ZHAO, MADAAN)
    bill: ClassVar = Bill("n * (1 + turns)", "n * (1 + turns) * depth", exact=False)

    def __post_init__(self) -> None:
        at_least(1, n=self.n)
        at_least(0, turns=self.turns)

    async def run(self, search: Search) -> None:
        how = self.how.settled(search.takes_instructions)

        async def chain() -> None:
            solution = await search.complete(search.root)
            for _ in range(self.turns):
                revised = await search.revise(solution, how)
                if revised is None:
                    return
                solution = revised

        await search.spread(chain, self.n)
