"""Samples and votes by a law of scaling (Singhi et al. 2025, arXiv 2504.01005, sec. 5).

S samples with V votes on every step of each cost C = S (1 + lambda V) samples. The first sample,
and one vote on it, tell what a sample and a vote cost here, and so lambda and C; the law, whose
exponent the paper fitted on MATH, then says S and V. Where nothing is limited, C is `at_most`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tts.strategy import POLICY, SINGHI, VERIFIER, Bill, Law, Node, Search, at_least


@dataclass(frozen=True)
class ByLaw:
    """V = votes_at_one C^exponent votes on each of S = C / (1 + lambda V) samples."""

    exponent: float = 0.39
    votes_at_one: float = 0.5  # V where C is a single sample; the paper's prefactor is not ours
    at_most: int = 256  # S
    needs_verifier: ClassVar[bool] = True
    papers: ClassVar = (SINGHI,)
    bill: ClassVar = Bill(
        "at_most",
        "at_most * depth",
        exact=False,
        votes="max(1, votes_at_one * at_most ** exponent)",
    )

    def __post_init__(self) -> None:
        at_least(1, at_most=self.at_most)
        _ = self.law  # checks its part of the knobs

    @property
    def law(self) -> Law:
        """What decides."""
        return Law(self.exponent, self.votes_at_one)

    async def run(self, search: Search) -> None:
        before = search.budget_left
        first = await search.complete(search.root, judge=False)
        share = before - search.budget_left
        await search.judge(first)
        sample, vote = search.spent[POLICY], search.spent[VERIFIER]
        price = vote / sample if sample else 0.0  # lambda
        budget = min(self.at_most, before / share) if share > 0 else self.at_most  # C
        samples, votes = self.law.choose(max(1.0, budget), price)
        search.explain(
            f"{samples} samples, {votes} votes",
            f"{budget:.1f} samples' worth, a vote on all of one costs {price:.2f}",
        )

        async def one() -> None:
            await self._judge(search, await search.complete(search.root, judge=False), votes)

        await search.spread(one, samples - 1)
        await self._judge(search, first, votes)

    async def _judge(self, search: Search, end: Node, votes: int) -> None:
        if votes:
            for step in end.path():
                await search.judge(step, votes)
