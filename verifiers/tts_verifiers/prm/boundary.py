"""BoundaryPRM: a discriminative PRM that answers in its vocabulary, over any engine.

Each step costs a prompt, whose beginning the engine has from the step before, and one token.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import anyio

from tts.backends.base import Backend, Request, Sampling
from tts.errors import ConfigError, Overlong, TTSError, leaves
from tts.verifier import Case, Cost, Judgement, Meter, ModelInfo, Reduction, Vote
from tts_verifiers.prm.spelling import Ids, Spelling


class BoundaryPRM:
    """Implements `tts.verifier.Verifier`. Owns its engine."""

    def __init__(
        self,
        backend: Backend,
        spelling: Spelling,
        *,
        reduction: Reduction = Reduction.MIN,
        step_tokens: int = 2048,
    ) -> None:
        """A step of more than `step_tokens` tokens is not judged.

        Raises:
            ConfigError: the model cannot tell its labels apart by one token.
        """
        self._backend = backend
        self._spelling = spelling
        self._reduction = reduction
        self._step_tokens = step_tokens
        self._labels = spelling.labels(backend.tokenizer)
        if self._labels[0] == self._labels[1]:
            raise ConfigError(f"{backend.model.name} spells both labels alike")

    @property
    def model(self) -> ModelInfo | None:
        return self._backend.model

    @property
    def reduction(self) -> Reduction:
        return self._reduction

    @property
    def sampled(self) -> bool:
        return False

    def bound(self, case: Case, more_tokens: int) -> Cost:
        prompts = [min(len(self._prompt(case, end)), self._limit(case, end)) for end in _new(case)]
        if more_tokens:
            prompts.append(self._limit(case, len(case.steps) + 1))
        return Cost(sum(prompts), 0, len(prompts), len(prompts), len(prompts))

    async def judge(self, case: Case, meter: Meter) -> Sequence[Judgement | None]:
        verdicts: list[Judgement | None] = [None] * (len(case.steps) - len(case.judged))

        async def judge(end: int) -> None:
            verdicts[end - 1 - len(case.judged)] = await self._judge(case, end, meter)

        try:
            async with anyio.create_task_group() as group:
                for end in _new(case):
                    group.start_soon(judge, end)
        except* TTSError as errors:
            raise leaves(errors)[0] from None
        return verdicts

    async def aclose(self) -> None:
        await self._backend.aclose()

    async def _judge(self, case: Case, end: int, meter: Meter) -> Judgement:
        ids = self._prompt(case, end)
        if len(ids) > self._limit(case, end):
            reason = f"the step is longer than {self._step_tokens} tokens, or the context is full"
            return Judgement(None, reason=reason)
        greedy = Sampling(temperature=0.0)
        request = Request(ids, 1, sampling=greedy, logprob_ids=self._labels, priority=end)
        try:
            generation = await self._backend.generate(request, meter)
        except Overlong:
            return Judgement(None, reason="the solution does not fit the context window")
        logprobs = generation.samples[0].first_logprobs
        if len(logprobs) != 2 or not math.isfinite(max(logprobs)):
            reason = "the engine gave no probability for the labels"
            return Judgement(None, reason=reason, cost=generation.cost)
        right, wrong = (math.exp(logprob - max(logprobs)) for logprob in logprobs)
        score = right / (right + wrong)
        return Judgement(score, (Vote(score),), cost=generation.cost)

    def _prompt(self, case: Case, end: int) -> Ids:
        """Ids that ask for the label of the last of the first `end` steps."""
        return self._asking([step.text.strip() for step in case.steps[:end]], case)

    def _limit(self, case: Case, end: int) -> int:
        """The longest prompt that is sent for the last of `end` steps."""
        earlier = [step.text.strip() for step in case.steps[: end - 1]]
        empty = len(self._asking([*earlier, "."], case))
        return min(empty + self._step_tokens, self._backend.model.context_tokens - 1)

    def _asking(self, texts: list[str], case: Case) -> Ids:
        shown = [text for text in texts if text]
        return self._spelling.prompt(self._backend.tokenizer, case.problem.prompt, shown)


def _new(case: Case) -> list[int]:
    """The lengths of the prefixes to be judged; empty steps have no label."""
    first = len(case.judged) + 1
    ends = range(first, len(case.steps) + 1)
    return [end for end in ends if case.steps[end - 1].text.strip()]
