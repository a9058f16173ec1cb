"""Worth: what one more sample, vote or revision would add to the chance of answering right.

The value of information (Howard 1966) by knowledge gradient: play out from today's beliefs what a
few actions would bring, believe again, and see by how much the best answer then is better than
today's choice would be. One action alone rarely changes a choice where four could (Frazier & Powell
2010), so plans of several lengths are looked at; only their first action is ever taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from tts.budget.evidence import Counts, Evidence, Floats, Tally

Mask = npt.NDArray[np.bool_]

BURSTS: Final = (1, 2, 3, 4, 6, 8)
"""How many actions of one kind are played out together."""
TURNS: Final = 4
"""How many revisions of one solution are."""
DRAWS: Final = 256


@dataclass(frozen=True, slots=True)
class Outlay:
    """What actions take, in one unit of compute."""

    sample: float
    """A solution from the root."""
    vote: float = 0.0
    """A vote on every step of one. A vote that finds an error ends there."""
    rest: float = math.inf
    """What there is to spend: a plan ends where that does."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan: what can be done next, and after it."""

    gain: float
    """Expected rise of P(the choice is right) by all of it, >= 0."""
    price: float
    """What all of it is expected to take."""
    actions: int
    """How many it consists of, at most."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """A vote that can be had on a solution: the rest of a first one, or one more on a step."""

    covered: float = 0.0
    """Share of the solution that the first vote has approved so far, in [0, 1]."""
    reach: float = 1.0
    """Share that it will have got to when it ends, as far as the budget goes; > `covered`."""
    votes: int = 0
    """How many there were on the step that is doubted most, if this is one more of these."""
    score: float = 1.0
    """Their mean P(Yes), in [0, 1], if this is one more of these."""
    price: float = 0.0
    """If it is one more of these."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A finished solution that can be revised: one with a step found wrong, or a ballot's."""

    label: int
    """Its answer."""
    ballot: Ballot | None = None
    """The first vote, which may find an error in it; None: one is found."""
    rest: float = 1.0
    """How much of it is to be written anew, from that step on, in (0, 1]."""
    failures: int = 0
    """How many solutions were written from that step on before, if it is known."""
    resumes: bool = True
    """Whether only the rest is written; all of it is no likelier to be right than a sample."""


def sampling(
    tally: Tally,
    evidence: Evidence,
    rng: np.random.Generator,
    outlay: Outlay,
    *,
    verified: bool = False,
) -> list[Offer]:
    """Bursts of new samples, each `verified` by a vote or not."""
    futures = _Futures(tally, evidence, rng, outlay, BURSTS[-1])
    offers = []
    for count in range(1, BURSTS[-1] + 1):
        done, right, label = futures.sample(futures.all, futures.rate())
        if verified:
            futures.first_vote(done, right, label, 0.0)
        if count in BURSTS:
            offers.append(futures.offer(count * (1 + verified)))
    return offers


def voting(
    tally: Tally,
    evidence: Evidence,
    rng: np.random.Generator,
    outlay: Outlay,
    label: int,
    ballots: Sequence[Ballot],
) -> list[Offer]:
    """Bursts of votes on solutions that give one answer, in this order."""
    futures = _Futures(tally, evidence, rng, outlay)
    right, labels = futures.gives(label)
    offers = []
    for count, ballot in enumerate(ballots[: BURSTS[-1]], 1):
        futures.cast(right, labels, ballot)
        if count in BURSTS:
            offers.append(futures.offer(count))
    return offers


def mending(
    tally: Tally, evidence: Evidence, rng: np.random.Generator, outlay: Outlay, draft: Draft
) -> list[Offer]:
    """A vote on `draft`, a revision if it is wrong, a vote on that, and so on; ended anywhere."""
    futures = _Futures(tally, evidence, rng, outlay, TURNS)
    right, label = futures.gives(draft.label)
    wrong, rest, actions = futures.all, np.full(DRAWS, draft.rest), 0
    if (first := draft.ballot) is not None:
        wrong, rest = futures.first_vote(wrong, right, label, first.covered, first.reach)
        actions = 1
    failures = draft.failures
    offers = []
    for _ in range(TURNS):
        chance = futures.rate()
        if draft.resumes:
            chance = evidence.mended(chance, rest, failures)
        else:
            rest = np.ones(DRAWS)
        done, right, label = futures.sample(wrong, chance, rest)
        futures.keep(done, label, 1 - rest)
        offers.append(futures.offer(actions + 1))
        wrong, rest = futures.first_vote(done, right, label, 1 - rest)
        offers.append(futures.offer(actions + 2))
        actions, failures = actions + 2, failures + 1
    return offers


@dataclass
class _Futures:
    """Worlds drawn from today's beliefs; in each of them one answer is the right one."""

    tally: Tally
    evidence: Evidence
    rng: np.random.Generator
    outlay: Outlay
    samples: int = 0
    """Most samples that will be drawn."""
    counts: Counts = field(init=False)
    """[DRAWS, K + 1 + samples]: there is room for the right answer, if it is not among those known,
    and for a new wrong one a sample."""
    weights: Floats = field(init=False)
    truth: Counts = field(init=False)
    """[DRAWS]"""
    all: Mask = field(init=False)
    """[DRAWS], all true."""

    def __post_init__(self) -> None:
        known = len(self.tally.counts)
        now = self.evidence.beliefs(self.tally.counts, self.tally.weights, self.tally.without)
        self._best = int(now[:-1].argmax()) if known else None
        self.counts = np.zeros((DRAWS, known + 1 + self.samples), np.int64)
        self.counts[:, :known] = self.tally.counts
        self.weights = np.zeros(self.counts.shape)
        self.weights[:, :known] = self.tally.weights
        # Every answer is right in as many worlds as it should be: less noise than by chance.
        points = (np.arange(DRAWS) + self.rng.random()) / DRAWS
        self.truth = self.rng.permutation(np.searchsorted(now.cumsum(), points).clip(max=known))
        self.all = np.ones(DRAWS, bool)
        self._rows = np.arange(DRAWS)
        self._unused = known + 1
        self._spent = np.zeros(DRAWS)

    def gives(self, label: int) -> tuple[Mask, Counts]:
        """Where a solution that gives `label` is right, and that label everywhere."""
        return self.truth == label, np.full(DRAWS, label)

    def rate(self) -> Floats:
        """[DRAWS] P(a new sample is right)."""
        prior, hits = self.evidence, self.counts[self._rows, self.truth]
        total = self.counts.sum(-1) + self.tally.without
        return np.asarray((prior.successes + hits) / (prior.successes + prior.failures + total))

    def sample(
        self, where: Mask, chance: Floats, share: Floats | float = 1.0
    ) -> tuple[Mask, Mask, Counts]:
        """Write `share` of a solution anew; where there is room, where it is right, its answers."""
        price = share * self.outlay.sample
        done = where & (self._spent + price <= self.outlay.rest)
        right = self.rng.random(DRAWS) < chance
        label = np.where(right, self.truth, self._wrong_answer())
        self.counts[self._rows, label] += done
        self._spent += done * price
        return done, right, label

    def keep(self, where: Mask, label: Counts, covered: Floats) -> None:
        """A new solution begins with steps that were approved: that already speaks for it."""
        self.weights[self._rows, label] += where * self.evidence.yes(covered)

    def cast(self, right: Mask, label: Counts, ballot: Ballot) -> None:
        """Vote in every world."""
        if not ballot.votes:
            self.first_vote(self.all, right, label, ballot.covered, ballot.reach)
            return
        done = self._spent + ballot.price <= self.outlay.rest
        yes, no = self.evidence.another(ballot.votes, ballot.score)
        approved = self.rng.random(DRAWS) < np.where(right, *_rates(yes, no))
        self.weights[self._rows, label] += done * np.where(approved, yes, no)
        self._spent += done * ballot.price

    def first_vote(
        self,
        where: Mask,
        right: Mask,
        label: Counts,
        covered: Floats | float,
        reach: float = 1.0,
    ) -> tuple[Mask, Floats]:
        """Have what follows `covered` voted on up to `reach`, until an error is found, if it is.

        Returns where one was found, and how much of the solution follows from there on.
        """
        begin = np.broadcast_to(np.asarray(covered, float), DRAWS)
        end = np.full(DRAWS, reach)
        if self.outlay.vote:
            end = np.minimum(end, begin + (self.outlay.rest - self._spent) / self.outlay.vote)
        end = np.maximum(end, begin)
        before = np.where(right, *self.evidence.approval(begin))
        after = np.where(right, *self.evidence.approval(end))
        approved = self.rng.random(DRAWS) < after / before
        now = np.where(approved, self.evidence.yes(end), self.evidence.no)
        self.weights[self._rows, label] += where * (now - self.evidence.yes(begin))
        length = (end - begin) * np.where(approved, 1.0, self.rng.random(DRAWS))
        self._spent += where * length * self.outlay.vote
        return where & ~approved, 1 - (begin + length)

    def offer(self, actions: int) -> Offer:
        """What it comes to so far.

        The gain is by how much the highest belief then is above that in today's choice, within
        each world: never negative, and free of most of the noise. As beliefs in samples and votes
        are a martingale, it is the rise of the highest belief; those in revisions are one only as
        far as `Evidence.mended` is right.
        """
        then = self.evidence.beliefs(self.counts, self.weights, self.tally.without)[:, :-1]
        stays = 0.0 if self._best is None else then[:, self._best]
        return Offer(float((then.max(-1) - stays).mean()), float(self._spent.mean()), actions)

    def _wrong_answer(self) -> Counts:
        """[DRAWS] One of those given, by how often it was, or a new one."""
        pull = self.counts.astype(float)
        pull[self._rows, self.truth] = 0.0
        pull[:, self._unused] = self.evidence.scatter
        self._unused += 1
        reach = pull.cumsum(-1)
        point = self.rng.random(DRAWS) * reach[:, -1]
        return np.asarray((reach <= point[:, None]).sum(-1))


def _rates(yes: float, no: float) -> tuple[float, float]:
    """P(Yes | right) and P(Yes | wrong) of a vote whose Yes and No weigh so much, nats."""
    if yes == no:
        return 0.0, 0.0
    wrong = math.expm1(no) / (math.expm1(no) - math.expm1(yes))
    return wrong * math.exp(yes), wrong
