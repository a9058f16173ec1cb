"""Selectors: which answer to give, out of the finished candidates. Pure functions.

A candidate without an answer never votes, and answers vote as classes of equal ones
(`tts.answers`), not as strings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tts.budget.evidence import Evidence, Tally, Witness, evidence_of
from tts.paper import COBBE, Paper, cites
from tts.types import Key

WANG = Paper(
    "Self-Consistency Improves Chain of Thought Reasoning in Language Models",
    ("Xuezhi Wang", "Jason Wei", "Dale Schuurmans", "Quoc Le", "Ed Chi", "others"),
    2023,
    arxiv="2203.11171",
    venue="ICLR 2023",
)
LI = Paper(
    "Making Large Language Models Better Reasoners with Step-Aware Verifier",
    ("Yifei Li", "Zeqi Lin", "Shizhuo Zhang", "Qiang Fu", "Bei Chen", "others"),
    2023,
    arxiv="2206.02336",
    venue="ACL 2023",
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A finished solution."""

    key: Key
    text: str
    answer: str | None
    """As extracted from the text; None: it states none."""
    label: int | None
    """Class of equal answers that it belongs to; None: no answer."""
    score: float | None
    """P(right) in [0, 1], of the longest prefix that was judged; None: nothing of it was, or the
    verifier abstained."""
    votes: int = 0
    """How many votes its score rests on, at the step that is doubted most."""
    covered: float = 1.0
    """Share of its steps that verdicts are about, in [0, 1]; 1 where one was judged wrong."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The candidate that speaks for the winning class."""

    candidate: Candidate
    share: float
    """Part of the votes (or of their weight) that its class has, in (0, 1]."""


PROBABLE: Final = "probable"
"""The selector whose share is a probability and not a part of the vote."""

Selector = Callable[[Sequence[Candidate]], Choice | None]
"""None if no candidate has an answer."""


@cites(WANG)
def majority(candidates: Sequence[Candidate]) -> Choice | None:
    """Self-consistency (Wang et al. 2023): one candidate, one vote. Ties go to the first class."""
    return _elect(candidates, lambda candidate: 1.0)


@cites(LI)
def weighted(candidates: Sequence[Candidate]) -> Choice | None:
    """Votes weighted by score (Li et al. 2023); without any score, `majority`.

    A candidate without a score weighs as much as the average one with: that is what is known of it.
    """
    return _elect(candidates, _merit(candidates)) or majority(candidates)


@cites(COBBE)
def best(candidates: Sequence[Candidate]) -> Choice | None:
    """The highest score (Cobbe et al. 2021); without any, `majority`. `share` counts votes.

    Who was judged to the end goes before who was not.
    """
    judged = [c for c in candidates if c.label is not None and c.score is not None]
    if not judged:
        return majority(candidates)
    whole = [each for each in judged if each.covered == 1]
    winner = max(whole or judged, key=lambda candidate: candidate.score or 0.0)
    voters = [candidate for candidate in candidates if candidate.label is not None]
    same = sum(candidate.label == winner.label for candidate in voters)
    return Choice(winner, same / len(voters))


def most_probable(evidence: Evidence) -> Selector:
    """The answer that is most probably right, given what is known of policy and verifier.

    `share` is that probability: what is missing to 1 is also that no candidate is right.
    """

    def choose(candidates: Sequence[Candidate]) -> Choice | None:
        solutions = [Witness.of(each.label, each) for each in candidates]
        tally = Tally.of(solutions, evidence)
        if not tally.counts.any():
            return None
        beliefs = evidence.beliefs(tally.counts, tally.weights, tally.without)[:-1]
        label = int(beliefs.argmax())
        return Choice(_speaker(candidates, label), float(beliefs[label]))

    choose.__name__ = PROBABLE
    return choose


SELECTORS: Final[Mapping[str, Selector]] = {
    "best": best,
    "majority": majority,
    PROBABLE: most_probable(Evidence()),
    "weighted": weighted,
}


def fitting(strategy: object, *, judged: bool) -> Selector:
    """How `strategy` chooses where nothing else was asked for; `judged`: there is a verifier."""
    if (evidence := evidence_of(strategy)) is not None:
        return most_probable(evidence)
    return weighted if judged else majority


def name_of(function: Callable[..., object]) -> str:
    """Of a selector, `majority`, or whatever a function of somebody's own is called."""
    return str(getattr(function, "__name__", type(function).__name__))


def _merit(candidates: Sequence[Candidate]) -> Callable[[Candidate], float]:
    """The score of each; what verdicts are not about is as good as the average candidate."""
    scored = [each for each in candidates if each.score is not None]
    whole = [each.score or 0.0 for each in scored if each.covered == 1]
    scores = whole or [each.score or 0.0 for each in scored]
    average = sum(scores) / len(scores) if scores else 0.0

    def merit(candidate: Candidate) -> float:
        if candidate.score is None:
            return average
        return candidate.covered * candidate.score + (1 - candidate.covered) * average

    return merit


def _elect(candidates: Sequence[Candidate], weight: Callable[[Candidate], float]) -> Choice | None:
    """The class of most weight, spoken for by its best-scored candidate."""
    totals: dict[int, float] = defaultdict(float)
    for candidate in candidates:
        if candidate.label is not None:
            totals[candidate.label] += weight(candidate)
    whole = sum(totals.values())
    if whole <= 0:
        return None
    label = max(totals, key=totals.__getitem__)  # the first of equals: dicts keep their order
    return Choice(_speaker(candidates, label), totals[label] / whole)


def _speaker(candidates: Sequence[Candidate], label: int) -> Candidate:
    members = [candidate for candidate in candidates if candidate.label == label]
    return max(members, key=lambda c: -1.0 if c.score is None else c.covered * c.score)
