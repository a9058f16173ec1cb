"""OutcomeRM: an outcome reward model, which reads a whole solution and scores it at its end.

Steps before the end get no say. Such models are trained on pairs of solutions (Qwen2.5-Math-RM,
Yang et al. 2024): the sigmoid of the reward ranks solutions to one problem, and is a probability
only as far as the rewards happen to be calibrated.
"""

from __future__ import annotations

from collections.abc import Sequence

from tts.types import Finish
from tts.verifier import Case, Cost, Judgement, Meter, ModelInfo, Reduction, Vote
from tts_verifiers.prm.heads import HeadInput, Layout, StepScores


class OutcomeRM:
    """Implements `tts.verifier.Verifier`. Owns its engine."""

    def __init__(self, engine: StepScores, layout: Layout, *, solution_tokens: int = 4096) -> None:
        """A solution of more than `solution_tokens` tokens is not judged.

        `layout` is given the whole solution as its one step.
        """
        self._engine = engine
        self._layout = layout
        self._solution_tokens = solution_tokens

    @property
    def model(self) -> ModelInfo | None:
        return self._engine.model

    @property
    def reduction(self) -> Reduction:
        return Reduction.LAST

    @property
    def sampled(self) -> bool:
        return False

    def bound(self, case: Case, more_tokens: int) -> Cost:
        limit = self._limit(case)
        prompts = [min(len(self._input(case, end).ids), limit) for end in _ends(case)]
        if more_tokens:
            prompts.append(limit)
        return Cost(sum(prompts), samples=len(prompts), calls=len(prompts))

    async def judge(self, case: Case, meter: Meter) -> Sequence[Judgement | None]:
        verdicts: list[Judgement | None] = [None] * (len(case.steps) - len(case.judged))
        for end in _ends(case):
            verdicts[end - 1 - len(case.judged)] = await self._judge(case, end, meter)
        return verdicts

    async def aclose(self) -> None:
        await self._engine.aclose()

    async def _judge(self, case: Case, end: int, meter: Meter) -> Judgement:
        input = self._input(case, end)
        if len(input.ids) > self._limit(case):
            reason = f"the solution is longer than {self._solution_tokens} tokens, or the context"
            return Judgement(None, reason=reason)
        own = Meter()
        try:
            (score,) = await self._engine.scores(input, own)
        finally:
            meter.add(own)
        return Judgement(score, (Vote(score),), cost=own.cost)

    def _input(self, case: Case, end: int) -> HeadInput:
        solution = "".join(step.text for step in case.steps[:end]).strip()
        return self._layout(self._engine.tokenizer, case.problem.prompt, [solution])

    def _limit(self, case: Case) -> int:
        """The longest prompt that is sent."""
        empty = self._layout(self._engine.tokenizer, case.problem.prompt, [""])
        return min(len(empty.ids) + self._solution_tokens, self._engine.model.context_tokens)


def _ends(case: Case) -> list[int]:
    """The lengths of the new prefixes that are whole solutions."""
    steps = case.steps
    return [
        end
        for end in range(len(case.judged) + 1, len(steps) + 1)
        if steps[end - 1].finish is Finish.EOS and any(step.text.strip() for step in steps[:end])
    ]
