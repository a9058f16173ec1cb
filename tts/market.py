"""Market: everything that can be bought next in a search, what it is worth, and at what price.

For strategies that weigh samples against votes. Plans are made of the solutions that there are: one
more, votes on those that give an answer, a revision of one that was found wrong. Prices are those
of what was bought so far.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from tts.budget.evidence import Evidence, Tally, Witness
from tts.budget.worth import Ballot, Draft, Offer, Outlay, mending, sampling, voting
from tts.strategy import Search
from tts.tree import Node
from tts.types import POLICY, VERIFIER, Revising

_LEAST_PRICE = 1e-9
"""Of what costs nothing, so that it can be divided by."""
_LIKELY = 3
"""Answers whose solutions are looked at for revision: the most probable ones."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Something to do next, and after it."""

    offer: Offer
    action: str
    """The first of it, for people."""
    begin: Callable[[], Awaitable[None]]
    """Does it."""
    samples: float
    """Its price, in samples."""

    @property
    def rate(self) -> float:
        """Gain for the price of a sample."""
        return self.offer.gain / max(self.samples, _LEAST_PRICE)


@dataclass(frozen=True, slots=True)
class Terms:
    """What may be bought."""

    solutions: int
    """Most of them, revisions included."""
    votes: int
    """Most on one solution."""
    vote_price: float
    """Of a vote on every step of a solution, in samples, until there has been one."""
    revising: Revising | None
    """How a solution is revised; None: never."""


@dataclass(eq=False)
class _Solution:
    """A finished solution and what was said of it."""

    end: Node
    label: int | None
    failures: int = 0
    """How many were written from the same step on, itself included, if it is a revision."""
    closed: bool = False
    """Whether the verifier has nothing to add."""

    @property
    def witness(self) -> Witness:
        return Witness.of(self.label, self.end)

    @property
    def unheard(self) -> list[Node]:
        """Steps that the first vote has not come to."""
        path = self.end.path()
        after = path[round(self.end.covered * len(path)) :]
        return [node for node in after if node.judgement is None]


@dataclass
class _Price:
    """What one kind of action has taken so far."""

    total: float = 0.0
    times: float = 0.0

    def add(self, price: float, times: float = 1.0) -> None:
        self.total += price
        self.times += times

    def mean(self, otherwise: float) -> float:
        return max(self.total / self.times if self.times else otherwise, _LEAST_PRICE)


@dataclass
class Market:
    """What there is in one search, and what can be had."""

    search: Search
    evidence: Evidence
    terms: Terms
    solutions: list[_Solution] = field(default_factory=list)
    samples: _Price = field(default_factory=_Price)
    read: _Price = field(default_factory=_Price)  # a token, by first votes
    more_votes: _Price = field(default_factory=_Price)
    unanimous: bool = False
    """Whether the verifier says the same, however often it is asked."""
    resumed: Counter[Node] = field(default_factory=Counter)  # by the step before what is new

    def plans(self) -> tuple[float, list[Plan]]:
        """P(the answer is right), and all that could be done next."""
        tally = Tally.of([each.witness for each in self.solutions], self.evidence)
        outlay = self._outlay
        beliefs = self.evidence.beliefs(tally.counts, tally.weights, tally.without)[:-1]
        likely = beliefs.argsort()[::-1][:_LIKELY].tolist()
        plans = [*self._samples(tally, outlay)]
        for label in range(len(beliefs)):
            plans += self._votes(tally, outlay, label, revise=label in likely)
        plans += self._revisions(tally, outlay)
        return float(beliefs.max(initial=0.0)), plans

    def _samples(self, tally: Tally, outlay: Outlay) -> Iterator[Plan]:
        # Without a solution there is nothing else to do: let the budget say that there is no room.
        room = not self.solutions or self.search.can_complete(self.search.root)
        if len(self.solutions) < self.terms.solutions and room:
            for verified in (False, True):
                rng = self.search.rng
                offers = sampling(tally, self.evidence, rng, outlay, verified=verified)
                yield from _planned(offers, outlay, "sample", self._sample)

    def _votes(self, tally: Tally, outlay: Outlay, label: int, *, revise: bool) -> Iterator[Plan]:
        """On solutions that give one answer, those with the fewest votes first."""
        ballots = [
            (each, ballot)
            for each in self.solutions
            if each.label == label and (ballot := self._ballot(each, outlay)) is not None
        ]
        if not ballots:
            return
        ballots.sort(key=lambda pair: (pair[1].votes, -pair[1].covered))
        given, rng = [ballot for _, ballot in ballots], self.search.rng
        offers = voting(tally, self.evidence, rng, outlay, label, given)
        solution, ballot = ballots[0]
        if revise and self.terms.revising is not None and not ballot.votes:
            draft = Draft(label, ballot, failures=solution.failures, resumes=self._resumes)
            offers += mending(tally, self.evidence, rng, outlay, draft)
        begin = partial(self._vote, solution, ballot)
        yield from _planned(offers, outlay, f"vote on answer {label}", begin)

    def _revisions(self, tally: Tally, outlay: Outlay) -> Iterator[Plan]:
        """Of the solution that was found wrong and is the most promising to resume."""
        drafts = [
            (draft, each) for each in self.solutions if (draft := self._draft(each)) is not None
        ]
        if drafts:
            draft, solution = min(drafts, key=lambda pair: (pair[0].failures, pair[0].rest))
            offers = mending(tally, self.evidence, self.search.rng, outlay, draft)
            begin = partial(self._revise, solution, draft.rest)
            yield from _planned(offers, outlay, f"revise answer {draft.label}", begin)

    def _ballot(self, solution: _Solution, outlay: Outlay) -> Ballot | None:
        """The next vote on it, as far as that fits: as votes go, and its last step at its worst."""
        end = solution.end
        if solution.closed:
            return None
        unheard = solution.unheard
        if not unheard:
            step = end.doubted
            if step is None or self.unanimous or end.votes >= self.terms.votes:
                return None
            if not self.search.can_judge(step, end.votes + 1):
                return None
            price = self.more_votes.mean(outlay.vote)
            return Ballot(votes=end.votes, score=end.score or 0.0, price=price)
        for last in reversed(unheard):
            assert last.parent is not None
            assert unheard[0].parent is not None
            before = last.parent.tokens - unheard[0].parent.tokens
            if self.search.can_judge(end, after=before * self._read):
                return Ballot(end.covered, last.depth / end.depth)
        return None

    def _draft(self, solution: _Solution) -> Draft | None:
        """What a revision of it would begin with; None: it is not known to be wrong, or no room."""
        how, end, wrong = self.terms.revising, solution.end, solution.end.first_wrong
        if how is None or wrong is None or solution.label is None:
            return None
        if len(self.solutions) >= self.terms.solutions or not self.search.can_revise(end, how):
            return None
        assert wrong.parent is not None
        rest = (end.depth - wrong.parent.depth) / end.depth if self._resumes else 1.0
        return Draft(
            solution.label,
            rest=rest,
            failures=self.resumed[wrong.parent],
            resumes=self._resumes,
        )

    @property
    def _resumes(self) -> bool:
        how = self.terms.revising
        return how is not None and how.settled(self.search.takes_instructions) is Revising.RESUME

    @property
    def _outlay(self) -> Outlay:
        sample = self.samples.mean(1.0)
        tokens = self._tokens / max(len(self.solutions), 1)
        vote = self._read * tokens if tokens else sample * self.terms.vote_price
        return Outlay(sample, vote, self.rest * sample)

    @property
    def _read(self) -> float:
        """The price of a token of a solution to a first vote: earlier steps are often longer."""
        sample = self.samples.mean(1.0) * len(self.solutions)
        return self.read.mean(sample * self.terms.vote_price / max(self._tokens, 1))

    @property
    def _tokens(self) -> int:
        return sum(each.end.tokens for each in self.solutions)

    @property
    def rest(self) -> float:
        """What is left to spend, in samples."""
        spent, left = sum(self.search.spent.values()), self.search.budget_left
        if not spent or left == 1:
            return math.inf
        return spent * left / (1 - left) / self.samples.mean(1.0)

    async def _sample(self) -> None:
        before = self.search.spent[POLICY]
        end = await self.search.complete(self.search.root, judge=False)
        await self._add(end, before, 1.0)

    async def _revise(self, solution: _Solution, rest: float) -> None:
        before, wrong = self.search.spent[POLICY], solution.end.first_wrong
        assert self.terms.revising is not None
        assert wrong is not None
        assert wrong.parent is not None
        self.resumed[wrong.parent] += 1
        failures = self.resumed[wrong.parent]
        end = await self.search.revise(solution.end, self.terms.revising, judge=False)
        assert end is not None
        await self._add(end, before, rest, failures)

    async def _add(self, end: Node, before: float, share: float, failures: int = 0) -> None:
        """A new solution, `share` of it written at what was spent since `before`."""
        self.samples.add(self.search.spent[POLICY] - before, share)
        self.solutions.append(_Solution(end, await self.search.answer_class(end), failures))

    async def _vote(self, solution: _Solution, ballot: Ballot) -> None:
        """As far as the budget goes."""
        search, end = self.search, solution.end
        said, before = solution.witness, search.spent[VERIFIER]
        if ballot.votes:
            step = end.doubted
            assert step is not None
            await search.judge(step, ballot.votes + 1)
            price = search.spent[VERIFIER] - before
            if solution.witness == said and not price:
                self.unanimous = True
            else:
                self.more_votes.add(price)
        else:
            for step in solution.unheard:
                if not search.can_judge(step):
                    break
                begun = search.spent[VERIFIER]
                await search.judge(step)
                assert step.parent is not None
                tokens = step.tokens - step.parent.tokens
                self.read.add(search.spent[VERIFIER] - begun, tokens)
                if end.first_wrong is not None:
                    break
        solution.closed = solution.witness == said


def _planned(
    offers: Iterable[Offer], outlay: Outlay, action: str, begin: Callable[[], Awaitable[None]]
) -> Iterator[Plan]:
    for offer in offers:
        yield Plan(offer, action, begin, offer.price / outlay.sample)
