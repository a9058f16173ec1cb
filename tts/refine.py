r"""Refine: what a policy is told of the first step of its solution that was judged wrong.

The words are those of GenPRM's critic loop (Zhao et al. 2025, sec. 4.3 and `policy_refine.py`): the
step is quoted, and after it stands what the verifier's analysis says of it.
"""

from __future__ import annotations

import re
from typing import Final

from tts.tree import Node
from tts.types import RIGHT_FROM, Judgement

COMPLAINT: Final = (
    "There might be some problem in this paragraph of your reasoning, please rethink and refine"
    " your answer:\n>{step}\n\n{analysis}"
)
_ANALYSIS: Final = re.compile(r"<analyze>(.*?)</analyze>", re.DOTALL)


def complaint(wrong: Node) -> str:
    """The user's words about a step that was judged wrong: the step, and the analysis of it."""
    assert wrong.step is not None
    critique = "" if wrong.judgement is None else _accusation(wrong.judgement)
    return COMPLAINT.format(step=wrong.step.text.strip(), analysis=analysis(critique))


def analysis(critique: str) -> str:
    """What a critique's `<analyze>` says after its first colon, which ends the forced opening."""
    match = _ANALYSIS.search(critique)
    if match is None:
        return critique
    opening, colon, rest = match[1].partition(":")
    return (rest if colon else opening).strip()


def _accusation(judgement: Judgement) -> str:
    """The critique of the first vote that calls the step wrong, which a majority need not begin."""
    for vote in judgement.votes:
        if vote.score is not None and vote.score < RIGHT_FROM:
            return vote.critique
    return judgement.critique
