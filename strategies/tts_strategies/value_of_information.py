"""Value of information: one more sample, one more vote, or stop, whichever is worth its price.

After each sample and each vote the search asks what the next one would add to the chance that its
answer is right, per unit of compute at the prices measured so far, and buys the best (Howard 1966;
the knowledge gradient, Frazier & Powell 2010). What is believed of the answers is in
`tts.budget.evidence`, what an action is worth in `tts.budget.worth`; the same beliefs choose the
answer at the end. Samples are written unjudged: a vote is bought where it can change the choice.

What does not fit the budget at its worst is not considered, so that samples go on where votes have
become too dear.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from tts.strategy import (
    POLICY,
    VERIFIER,
    Bill,
    ConfigError,
    Evidence,
    Node,
    Offer,
    Paper,
    Search,
    Tally,
    Witness,
    at_least,
    sampling,
    voting,
)

HOWARD = Paper(
    "Information Value Theory", ("Ronald A. Howard",), 1966, venue="IEEE Trans. SSC 2(1)"
)
FRAZIER = Paper(
    "Paradoxes in Learning and the Marginal Value of Information",
    ("Peter I. Frazier", "Warren B. Powell"),
    2010,
    venue="Decision Analysis 7(4)",
)
_LEAST_PRICE = 1e-9
"""Of what costs nothing, so that it can be divided by."""


@dataclass
class _Solution:
    """A finished solution and what was said of it."""

    end: Node
    label: int | None
    votes: int = 0

    def witness(self) -> Witness:
        return Witness(self.label, self.end.score if self.votes else None, self.votes)

    @property
    def next_asked(self) -> tuple[Node, int | None]:
        """What the next vote is about: all of it, then its most doubtful step once more."""
        return (self.end.doubted or self.end, self.votes + 1) if self.votes else (self.end, None)

    def before_last(self, step: float) -> float:
        """What the next vote takes, at the price of `step`, before the last of its steps."""
        return 0.0 if self.votes else step * (len(self.end.path()) - 1)


@dataclass
class _Spent:
    """What one kind of action has taken so far."""

    total: float = 0.0
    times: int = 0

    def add(self, price: float, times: int = 1) -> None:
        self.total += price
        self.times += times

    def price(self, otherwise: float) -> float:
        return max(self.total / self.times if self.times else otherwise, _LEAST_PRICE)


@dataclass
class _State:
    vote_price: float
    solutions: list[_Solution] = field(default_factory=list)
    samples: _Spent = field(default_factory=_Spent)
    first_votes: _Spent = field(default_factory=_Spent)
    steps: _Spent = field(default_factory=_Spent)  # of first votes
    more_votes: _Spent = field(default_factory=_Spent)

    @property
    def prices(self) -> tuple[float, float, float]:
        """Of a sample, of a first vote on all of a solution, of one more on one of its steps."""
        sample = self.samples.price(1.0)
        first = self.first_votes.price(sample * self.vote_price)
        return sample, first, self.more_votes.price(first)

    @property
    def step_price(self) -> float:
        """Of a step in a first vote; one that finds nothing wrong takes all of its steps."""
        steps = sum(len(each.end.path()) for each in self.solutions)
        return self.steps.price(self.samples.total * self.vote_price / max(steps, 1))


@dataclass(frozen=True)
class ValueOfInformation:
    """Goes on until the answer is as good as sure, or nothing is worth its price.

    The rates are those of the verifier on whole solutions; `tts bench processbench` measures them
    as correct accuracy, and one less error accuracy.
    """

    sure: float = 0.999  # stop at this P(the answer is right)
    least_gain: float = 1e-4  # of P(right), for the price of one sample
    at_most: int = 256  # solutions
    votes: int = 4  # most on one solution
    approves_right: float = 0.9
    approves_wrong: float = 0.15
    correlation: float = 0.5
    scatter: float = 4.0
    vote_price: float = 4.0  # of a vote on every step, in samples, until there has been one
    needs_verifier: ClassVar[bool] = True
    papers: ClassVar = (HOWARD, FRAZIER)
    bill: ClassVar = Bill("at_most", "at_most * depth * votes", exact=False)

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
            scatter=self.scatter,
        )

    async def run(self, search: Search) -> None:
        evidence, state = self.evidence, _State(self.vote_price)
        while True:
            tally = Tally.of([each.witness() for each in state.solutions], evidence)
            beliefs = evidence.beliefs(tally.counts, tally.weights, tally.without)
            right = float(beliefs[:-1].max()) if len(tally.counts) else 0.0
            offers = self._offers(search, tally, evidence, state)
            if right >= self.sure or not offers:
                why = "sure enough" if right >= self.sure else "nothing is left to buy"
                search.explain("stop", f"{why}: P(right) {right:.3f}")
                return
            # Gain per unit of compute: the first action of the burst that has the most of it.
            price, best = max(offers, key=lambda offer: offer[1].gain / offer[0])
            unit = state.samples.price(1.0) / price
            if state.solutions and best.gain * unit < self.least_gain:
                search.explain("stop", f"no gain is worth its price: P(right) {right:.3f}")
                return
            wanted = "sample" if best.label is None else f"vote on answer {best.label}"
            search.explain(
                wanted,
                f"P(right) {right:.3f}, {best.gain:+.4f} by {best.actions} more for"
                f" {1 / unit:.2f} samples' price",
            )
            if best.label is None:
                await self._sample(search, state)
            else:
                await self._vote(search, state, best.label)

    def _offers(
        self, search: Search, tally: Tally, evidence: Evidence, state: _State
    ) -> list[tuple[float, Offer]]:
        """Everything that can be done next, with its price."""
        sample, first, more = state.prices
        offers: list[tuple[float, Offer]] = []
        # Without a solution there is nothing else to do: let the budget say that there is no room.
        room = not state.solutions or search.can_complete(search.root)
        if len(state.solutions) < self.at_most and room:
            for verified in (False, True):
                price = sample + first if verified else sample
                offers += [
                    (price * offer.actions, offer)
                    for offer in sampling(tally, evidence, search.rng, verified=verified)
                ]
        for label in range(len(tally.counts)):
            heard = [each.votes for each in self._askable(search, state, label)]
            if heard:
                offers += [
                    (_price(sorted(heard)[: offer.actions], first, more), offer)
                    for offer in voting(tally, evidence, search.rng, label, heard)
                ]
        rest = _rest(search)
        return [(price, offer) for price, offer in offers if price <= rest or _small(offer)]

    def _askable(self, search: Search, state: _State, label: int) -> list[_Solution]:
        """Those on which another vote fits, as votes go, and the last of its steps at its worst."""
        step = state.step_price
        return [
            each
            for each in state.solutions
            if each.label == label
            and each.votes < self.votes
            and search.can_judge(*each.next_asked, after=each.before_last(step))
        ]

    async def _sample(self, search: Search, state: _State) -> None:
        before = search.spent[POLICY]
        end = await search.complete(search.root, judge=False)
        state.samples.add(search.spent[POLICY] - before)
        state.solutions.append(_Solution(end, await search.answer_class(end)))

    async def _vote(self, search: Search, state: _State, label: int) -> None:
        """On the solution with the fewest votes."""
        asked = min(self._askable(search, state, label), key=lambda each: each.votes)
        before, kind = search.spent[VERIFIER], state.first_votes
        node, votes = asked.next_asked
        if votes is not None:
            kind = state.more_votes
            said = node.judgement
            await search.judge(node, votes)
            if node.judgement is said:  # it has nothing to add
                asked.votes = self.votes
                return
        steps = await _judged(search, asked.end)
        asked.votes = self.votes if asked.end.score is None else asked.votes + 1  # or it abstained
        price = search.spent[VERIFIER] - before
        kind.add(price)
        if votes is None:
            state.steps.add(price, steps)


async def _judged(search: Search, end: Node) -> int:
    """Have the path to `end` judged, as far as the budget goes; how many steps took anything."""
    paid = 0
    for node in end.path():
        if not search.can_judge(node):
            break
        before = search.spent[VERIFIER]
        await search.judge(node)
        paid += search.spent[VERIFIER] > before
    return paid


def _small(offer: Offer) -> bool:
    """Whether it is one sample: what that costs at most was looked at before."""
    return offer.label is None and offer.actions == 1


def _rest(search: Search) -> float:
    """What is left to spend, in the unit of prices: no plan is longer than that."""
    spent, left = sum(search.spent.values()), search.budget_left
    return spent * left / (1 - left) if spent and left < 1 else math.inf


def _price(heard: list[int], first: float, more: float) -> float:
    return sum(more if votes else first for votes in heard)
