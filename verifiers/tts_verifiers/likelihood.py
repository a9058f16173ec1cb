"""Likelihood: the policy's own confidence as a verdict; a baseline that costs nothing.

A step's score is the geometric mean of its tokens' probabilities, exp(mean log-probability), the
length-normalised likelihood that beam search decoders rank by. It says how sure the policy was,
not whether it was right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tts.verifier import Case, Cost, Judgement, Meter, ModelInfo, Reduction, Step, Vote


class Likelihood:
    """Scores steps by what the policy thought of them while writing."""

    def __init__(self, reduction: Reduction = Reduction.MEAN) -> None:
        self._reduction = reduction

    @property
    def model(self) -> ModelInfo | None:
        return None

    @property
    def reduction(self) -> Reduction:
        return self._reduction

    @property
    def sampled(self) -> bool:
        return False

    def bound(self, case: Case, more_tokens: int) -> Cost:
        return Cost()

    async def judge(self, case: Case, meter: Meter) -> Sequence[Judgement | None]:
        return [_judge(step) for step in case.steps[len(case.judged) :]]

    async def aclose(self) -> None:
        """Nothing to release."""


def _judge(step: Step) -> Judgement:
    if not step.token_ids:
        return Judgement(
            None, reason="no policy wrote this step here: nobody knows how sure it was"
        )
    score = math.exp(step.logprob / len(step.token_ids))
    return Judgement(score, votes=(Vote(score),))
