"""Function: a plain coroutine function as a verifier, for agent frameworks and tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from tts.verifier import Case, Cost, Judgement, Meter, ModelInfo, Reduction, Vote

Scorer = Callable[[str, Sequence[str]], Awaitable[Sequence[float | None]]]
"""From a problem's prompt and the texts of all steps so far to one score in [0, 1] for each;
None where it has no opinion."""


class Function:
    """Asks a function. What it costs is the function's own business and is not counted."""

    def __init__(self, score: Scorer, reduction: Reduction = Reduction.LAST) -> None:
        self._score = score
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
        scores = await self._score(case.problem.prompt, [step.text for step in case.steps])
        if len(scores) != len(case.steps):
            raise ValueError(f"{len(scores)} scores for {len(case.steps)} steps")
        return [_judgement(score) for score in scores[len(case.judged) :]]

    async def aclose(self) -> None:
        """Nothing to release."""


def _judgement(score: float | None) -> Judgement:
    if score is None:
        return Judgement(None, reason="the function gave no score")
    if not 0 <= score <= 1:
        raise ValueError(f"score {score} is not in [0, 1]")
    return Judgement(score, votes=(Vote(score),))
