"""Ballot: how votes become a judgement, and whose critique a conversation goes on from.

A vote's score is P(right); the judgement's is their mean (GenPRM, Eq. 6), abstentions left out, and
a step is right from 0.5 on (Eq. 7). No majority is invented: if all abstain, so does the judgement.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from tts.verifier import RIGHT_FROM, Cost, Judgement, Vote


class Voting(Enum):
    """What the votes on a step have in common."""

    STEP = "step"
    """The conversation before it: K samples for a step, continued from one of them. For search."""
    CHAIN = "chain"
    """Nothing: K verifications of the whole solution side by side. The paper's Maj@K."""


class Outvoted(Enum):
    """How a vote goes on that said No at a step that the majority calls right."""

    ADOPT = "adopt"
    """From the critique of the first vote that said Yes. One that insists that an earlier step is
    wrong says No to all that follows, and that is not evidence about what follows."""
    KEEP = "keep"
    """From what it wrote, as in the paper's runs."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """A vote, and why it abstained if it did."""

    vote: Vote
    reason: str = ""


def abstention(critique: str, reason: str) -> Opinion:
    """A vote without a verdict. Its tokens are not kept: no conversation goes on from it."""
    return Opinion(Vote(None, critique), reason)


def is_right(score: float) -> bool:
    """Which of the two verdicts a score stands for."""
    return score >= RIGHT_FROM


def tally(opinions: Sequence[Opinion], cost: Cost) -> Judgement:
    """The judgement that `opinions` amount to; its reason counts the abstentions."""
    votes = tuple(opinion.vote for opinion in opinions)
    scores = [vote.score for vote in votes if vote.score is not None]
    reasons = [opinion.reason for opinion in opinions if opinion.vote.score is None]
    reason = ""
    if reasons:
        among = f"{len(reasons)} of {len(votes)} votes abstained: " if len(votes) > 1 else ""
        reason = among + "; ".join(dict.fromkeys(reasons))
    return Judgement(math.fsum(scores) / len(scores) if scores else None, votes, reason, cost)


def heir(judgement: Judgement | None, chain: int, outvoted: Outvoted) -> Vote | None:
    """Whose critique chain `chain` goes on from after a judged step; None if there is none.

    Its own (the first vote's, if there are fewer votes than chains), unless it was outvoted or
    abstained: then that of the first vote on the judgement's side.
    """
    if judgement is None or judgement.score is None:
        return None
    right = is_right(judgement.score)
    votes = judgement.votes
    own = votes[chain if chain < len(votes) else 0] if votes else None
    if own is not None and (said := _said(own)) is not None:
        overruled = right and not said
        if not overruled or outvoted is Outvoted.KEEP:
            return own
    return next((vote for vote in votes if _said(vote) is right), None)


def _said(vote: Vote) -> bool | None:
    """Its verdict; None if it gave none, or left no tokens to go on from."""
    return None if vote.score is None or not vote.token_ids else is_right(vote.score)
