"""Worth: what one more sample, or one more vote, would add to the chance of answering right.

The value of information (Howard 1966) by knowledge gradient: play out from today's beliefs what a
small burst of samples or votes would bring, believe again, and see by how much the best answer then
is better than today's choice would be. A single sample rarely changes a choice where four could
(Frazier & Powell 2010), so bursts of several sizes are looked at; only their first action is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tts.budget.evidence import Counts, Evidence, Floats, Tally

BURSTS: Final = (1, 2, 4, 8)
"""How many actions of one kind are played out together."""
DRAWS: Final = 128


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that can be done next."""

    gain: float
    """Expected rise of P(the choice is right) by the burst, >= 0."""
    actions: int
    """Length of the burst."""
    label: int | None = None
    """The answer whose solutions are voted on; None: a new sample is taken."""


def sampling(
    tally: Tally, evidence: Evidence, rng: np.random.Generator, *, verified: bool
) -> list[Offer]:
    """Bursts of new samples, each `verified` by a vote or not."""
    return [Offer(_of_samples(tally, evidence, rng, burst, verified), burst) for burst in BURSTS]


def voting(
    tally: Tally, evidence: Evidence, rng: np.random.Generator, label: int, heard: list[int]
) -> list[Offer]:
    """Bursts of votes on the solutions of one answer, those with the fewest votes first.

    `heard` says how many votes each of them has.
    """
    fresh = [evidence.independent(n + 1) - evidence.independent(n) for n in sorted(heard)]
    return [
        Offer(_of_votes(tally, evidence, rng, label, fresh[:burst]), burst, label)
        for burst in BURSTS
        if burst <= len(fresh)
    ]


def _of_votes(
    tally: Tally, evidence: Evidence, rng: np.random.Generator, label: int, shares: list[float]
) -> float:
    """`shares`: what each vote counts beside those there are."""
    now = evidence.beliefs(tally.counts, tally.weights, tally.without)
    right = rng.random(DRAWS) < now[label]
    approved = (
        rng.random((DRAWS, len(shares)))
        < np.where(right, evidence.approves_right, evidence.approves_wrong)[:, None]
    )
    added = (np.where(approved, evidence.yes, evidence.no) * shares).sum(-1)
    counts = np.broadcast_to(tally.counts, (DRAWS, len(tally.counts)))
    weights = np.repeat(tally.weights[None], DRAWS, 0)
    weights[:, label] += added
    return _rise(evidence, counts, weights, tally.without, int(now[:-1].argmax()))


def _of_samples(
    tally: Tally, evidence: Evidence, rng: np.random.Generator, burst: int, verified: bool
) -> float:
    known = len(tally.counts)
    now = evidence.beliefs(tally.counts, tally.weights, tally.without)
    # Room for the right answer, if it is not among those known, and for a new wrong one a sample.
    counts = np.zeros((DRAWS, known + 1 + burst), np.int64)
    counts[:, :known] = tally.counts
    weights = np.zeros(counts.shape)
    weights[:, :known] = tally.weights
    truth = rng.choice(known + 1, DRAWS, p=now)
    rows = np.arange(DRAWS)
    for sample in range(burst):
        hits = counts[rows, truth]
        total = counts.sum(-1) + tally.without
        chance = (evidence.successes + hits) / (evidence.successes + evidence.failures + total)
        right = rng.random(DRAWS) < chance
        label = np.where(right, truth, _wrong_answer(counts, truth, sample, known, evidence, rng))
        counts[rows, label] += 1
        if verified:
            rate = np.where(right, evidence.approves_right, evidence.approves_wrong)
            approved = rng.random(DRAWS) < rate
            weights[rows, label] += np.where(approved, evidence.yes, evidence.no)
    best = int(now[:-1].argmax()) if known else None
    return _rise(evidence, counts, weights, tally.without, best)


def _wrong_answer(
    counts: Counts,
    truth: Counts,
    sample: int,
    known: int,
    evidence: Evidence,
    rng: np.random.Generator,
) -> Counts:
    """A wrong answer for each draw: one of those given, by how often it was, or a new one."""
    pull = counts.astype(float)
    pull[np.arange(len(counts)), truth] = 0.0
    pull[:, known + 1 + sample] = evidence.scatter
    reach = pull.cumsum(-1)
    point = rng.random(len(counts)) * reach[:, -1]
    return np.asarray((reach <= point[:, None]).sum(-1))


def _rise(
    evidence: Evidence, counts: Counts, weights: Floats, without: int, best: int | None
) -> float:
    """How much better the best answer is, afterwards, than the one that is best now.

    As beliefs are a martingale, that is the rise of the highest of them; taken as a difference
    within each draw it is never negative, and free of most of the noise.
    """
    then = evidence.beliefs(counts, weights, without)[:, :-1]
    stays = 0.0 if best is None else then[:, best]
    return float((then.max(-1) - stays).mean())
