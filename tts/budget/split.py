"""Split: how many samples and how many votes a budget buys, by a law fitted beforehand.

S samples with V votes on each cost C = S (1 + lambda V), in the price of a sample; lambda is the
price of a vote on a whole solution. Along the compute-optimal frontier both grow as powers of C,
samples faster than votes: S by 0.57 and V by 0.39 for generative verifiers on MATH (Singhi et al.
2025, arXiv 2504.01005, sec. 5).
"""

from __future__ import annotations

from dataclasses import dataclass

from tts.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Law:
    """V = votes_at_one C^b, and S what is left: C / (1 + lambda V).

    Raises:
        ConfigError: a number is below 0, or the base is 0.
    """

    exponent: float = 0.39  # b
    votes_at_one: float = 0.5
    """Votes on each solution that a budget of one sample would buy, if they could be divided."""

    def __post_init__(self) -> None:
        if self.exponent < 0 or self.votes_at_one <= 0:
            raise ConfigError(f"{self} is no law: votes_at_one > 0 and exponent >= 0")

    def choose(self, budget: float, vote_price: float) -> tuple[int, int]:
        """Samples and votes on each, both >= 1 and 0, for `budget` > 0 in prices of a sample."""
        if budget <= 0 or vote_price < 0:
            raise ConfigError(f"budget={budget} must be above 0, vote_price={vote_price} >= 0")
        votes = round(self.votes_at_one * budget**self.exponent)
        while votes and budget < 2 * (1 + vote_price * votes):
            votes -= 1  # votes on a single solution choose nothing
        return max(1, int(budget / (1 + vote_price * votes))), votes
