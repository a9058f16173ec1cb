"""Adaptive consistency: sample until the majority is settled (Aggarwal et al. 2023, sec. 3.2).

The two most frequent answers, given v1 and v2 times, are seen as coin tosses under a uniform prior.
Once the posterior Beta(v1 + 1, v2 + 1) is as sure as the threshold that the first is the likelier
one, no more is sampled. A solution without an answer is paid for and casts no vote. `at_once`
samples are taken before each look: one, as in the paper, wastes none; more of them save time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from math import comb
from typing import ClassVar

from tts.strategy import Bill, ConfigError, Node, Paper, Search, at_least

AGGARWAL = Paper(
    "Let's Sample Step by Step: Adaptive-Consistency for Efficient Reasoning and Coding with LLMs",
    ("Pranjal Aggarwal", "Aman Madaan", "Yiming Yang", "Mausam"),
    2023,
    arxiv="2305.11860",
    venue="EMNLP 2023",
)


@dataclass(frozen=True)
class AdaptiveConsistency:
    """At most N answers; stops when P(first > second) reaches the threshold, in (0.5, 1)."""

    n: int = 40  # N
    threshold: float = 0.95  # C_thresh
    at_once: int = 1
    needs_verifier: ClassVar[bool] = False
    papers: ClassVar = (AGGARWAL,)
    bill: ClassVar = Bill("n", "n * depth", exact=False)

    def __post_init__(self) -> None:
        at_least(1, n=self.n, at_once=self.at_once)
        if not 0.5 < self.threshold < 1:
            raise ConfigError(f"threshold={self.threshold} must be between 0.5 and 1")

    async def run(self, search: Search) -> None:
        votes: Counter[int] = Counter()
        sampled = 0
        while sampled < self.n and lead(votes) < self.threshold:
            ends: list[Node] = []

            async def sample(ends: list[Node] = ends) -> None:
                ends.append(await search.complete(search.root))

            more = min(self.at_once, self.n - sampled)
            await search.spread(sample, more)
            sampled += more
            for end in sorted(ends, key=lambda node: node.key):
                label = await search.answer_class(end)
                if label is not None:
                    votes[label] += 1


def lead(votes: Counter[int]) -> float:
    """P(the first answer is more likely than the second), in [0.5, 1).

    The regularised incomplete beta function at 1/2, which for whole numbers is a sum of binomials.
    """
    first, second = ([count for _, count in votes.most_common(2)] + [0, 0])[:2]
    tosses = first + second + 1
    return float(Fraction(sum(comb(tosses, heads) for heads in range(first + 1)), 2**tosses))
