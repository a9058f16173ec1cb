"""Value of information: one more sample, vote or revision, or stop, whichever is worth its price.

After each action the search asks what the next ones would add to the chance that its answer is
right, per unit of compute at the prices measured so far, and begins the best plan (Howard 1966;
the knowledge gradient, Frazier & Powell 2010). What is believed of the answers is in
`tts.budget.evidence`, what a plan is worth in `tts.budget.worth`; the same beliefs choose the
answer at the end. Samples are written unjudged: a vote is bought where it can change the choice, or
find the step before which a solution is worth resuming.

What does not fit the budget is not considered, so that samples go on where votes have become too
dear; a vote that the budget would cut off is worth what it could still say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import ClassVar

import numpy as np

from tts.market import Market, Plan, Terms
from tts.strategy import Bill, ConfigError, Evidence, Paper, Revising, Search, at_least

HOWARD = Paper(
    "Information Value Theory", ("Ronald A. Howard",), 1966, venue="IEEE Trans. SSC 2(1)"
)
FRAZIER = Paper(
    "Paradoxes in Learning and the Marginal Value of Information",
    ("Peter I. Frazier", "Warren B. Powell"),
    2010,
    venue="Decision Analysis 7(4)",
)


@dataclass(frozen=True)
class ValueOfInformation:
    """Goes on until the answer is as good as sure, or nothing is worth its price.

    The rates are those of the verifier on whole solutions; `tts bench processbench` measures them
    as correct accuracy, and one less error accuracy. `successes`, `failures` and `scatter` say how
    often the policy is right and how its wrong answers differ (`tts.budget.prior`).
    """

    sure: float = 0.999  # stop at this P(the answer is right)
    least_gain: float = 1e-4  # of P(right), for the price of one sample
    at_most: int = 256  # solutions
    votes: int = 4  # most on one solution
    approves_right: float = 0.9
    approves_wrong: float = 0.15
    correlation: float = 0.5
    successes: float = 1.0
    failures: float = 1.0
    scatter: float = 4.0
    vote_price: float = 5.0  # of a vote on every step, in samples, until there has been one
    revise: bool = True
    how: Revising = Revising.AUTO
    needs_verifier: ClassVar[bool] = True
    papers: ClassVar = (HOWARD, FRAZIER)
    bill: ClassVar = Bill("at_most", "at_most * depth", exact=False, votes="votes")

    def __post_init__(self) -> None:
        at_least(1, at_most=self.at_most, votes=self.votes)
        if not 0 < self.vote_price < math.inf:
            raise ConfigError(f"vote_price={self.vote_price} must be above 0")
        _ = self.evidence  # checks its part of the knobs

    @property
    def evidence(self) -> Evidence:
        """What is believed beforehand; also how the answer is chosen."""
        return Evidence(
            self.approves_right,
            self.approves_wrong,
            self.correlation,
            self.successes,
            self.failures,
            self.scatter,
        )

    async def run(self, search: Search) -> None:
        how = self.how.settled(search.takes_instructions) if self.revise else None
        terms = Terms(self.at_most, self.votes, self.vote_price, how)
        market = Market(search, self.evidence, terms)
        while True:
            right, plans = market.plans()
            if right >= self.sure or not plans:
                why = "sure enough" if right >= self.sure else "nothing is left to buy"
                search.explain("stop", f"{why}: P(right) {right:.3f}")
                return
            best = _best(plans, market.rest, right)
            if market.solutions and max(each.rate for each in plans) < self.least_gain:
                search.explain("stop", f"no gain is worth its price: P(right) {right:.3f}")
                return
            search.explain(
                best.action,
                f"P(right) {right:.3f}, {best.offer.gain:+.4f} by {best.offer.actions} or fewer"
                f" actions for {best.samples:.2f} samples' price",
            )
            await best.begin()


def _best(plans: Sequence[Plan], rest: float, right: float) -> Plan:
    """What to begin with: of the two plans that together make most of `rest`, the faster one.

    `rest` is in samples. Two plans raise P(right) as two independent chances would; one that begins
    with the same action as another goes on from it, and is not added to it.
    """
    gains = np.array([plan.offer.gain for plan in plans]) / max(1 - right, 1e-9)
    prices = np.array([plan.samples for plan in plans])
    actions = np.array([plan.action for plan in plans])
    both = gains[:, None] + gains - gains[:, None] * gains
    fits = (prices[:, None] + prices <= rest) & (actions[:, None] != actions)
    worth = np.where(fits, both, gains[:, None])  # alone where the other does not fit
    pair = np.unravel_index(worth.argmax(), worth.shape)
    chosen = pair if fits[pair] else pair[:1]
    return max((plans[int(index)] for index in chosen), key=attrgetter("rate"))
