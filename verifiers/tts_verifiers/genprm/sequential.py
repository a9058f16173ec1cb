"""Sequential: when votes that are still to come can no longer change a verdict.

A step is right if the mean of its votes is 0.5 or above, abstentions left out. Each vote to come
says something in [0, 1] or abstains. So the verdict stands as soon as it would stand if they all
said No, or if they all said Yes: a test without error, unlike Wald's (1945). Votes count in their
order, so that what is decided, and on how many of them, does not depend on which comes in first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum

from tts.verifier import RIGHT_FROM, Vote
from tts_verifiers.genprm.ballot import Opinion


class Decisive(Enum):
    """When the voting on a step ends."""

    NO = "no"
    """When all votes are given."""
    EAGER = "eager"
    """When the verdict stands. All begin at once, and those that are not needed are cancelled."""
    SPARING = "sparing"
    """The same, and none begins before it may be needed: fewer tokens, in more than one round."""


def decided(opinions: Sequence[Opinion], due: int) -> bool:
    """Whether the verdict of `opinions` stands whatever `due` more votes say."""
    scores = [each.vote.score for each in opinions if each.vote.score is not None]
    if not scores:
        return due == 0
    # Added up as the mean will be, so that no bound is missed by a rounding.
    number = len(scores) + due
    least, most = math.fsum(scores), math.fsum([*scores, *[1.0] * due])
    return least / number >= RIGHT_FROM or most / number < RIGHT_FROM


def least_more(opinions: Sequence[Opinion], due: int) -> int:
    """The fewest of `due` more votes with which the verdict can stand, if all say the same."""
    for more in range(due + 1):
        for vote in (0.0, 1.0):
            if decided([*opinions, *[Opinion(Vote(vote))] * more], due - more):
                return more
    return due


def enough(opinions: Sequence[Opinion], wanted: int) -> int:
    """The fewest first ones of `opinions` on which the verdict stands if `wanted` are due in all.

    All of them if it does not.
    """
    for number in range(1, len(opinions) + 1):
        if decided(opinions[:number], wanted - number):
            return number
    return len(opinions)
