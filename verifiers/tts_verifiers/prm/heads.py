r"""Heads: PRMs whose score is the output of a head and not a token, and what they are to be sent.

Qwen2.5-Math-PRM (Zhang et al. 2025) classifies at a special token after each step, Skywork-o1-PRM
regresses at a newline. Neither can be asked through an engine's text interface. `StepScores` is
what is needed of one that gives a model's outputs at chosen positions: `served` and `local` have
some.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol

from tts.backends.base import ModelInfo, Tokenizer
from tts.errors import BadReply, ConfigError
from tts.verifier import Case, Cost, Judgement, Meter, Reduction, Vote
from tts_verifiers.prm.spelling import Ids, defused


@dataclass(frozen=True, slots=True)
class HeadInput:
    """One sequence, and where in it the steps' scores are read."""

    ids: Ids
    positions: tuple[int, ...]
    """One for each step, ascending: the step's last id."""
    start: int
    """Where the first step begins."""


class Layout(Protocol):
    """How a solution is written out for a model with a head."""

    def __call__(self, tokenizer: Tokenizer, problem: str, steps: Sequence[str]) -> HeadInput: ...


class StepScores(Protocol):
    """A model's head, behind some engine."""

    @property
    def model(self) -> ModelInfo: ...

    @property
    def tokenizer(self) -> Tokenizer: ...

    async def scores(self, input: HeadInput, meter: Meter) -> Sequence[float]:
        """P(right) in [0, 1] at each position; books the prompt's tokens and one call.

        Raises:
            BackendError: the engine failed.
        ConfigError: it cannot read at these positions.
        """
        ...

    async def aclose(self) -> None:
        """Release the engine. Idempotent."""
        ...


QWEN_SYSTEM: Final = "Please reason step by step, and put your final answer within \\boxed{}."
QWEN_SEPARATOR: Final = "<extra_0>"
_ROUNDING: Final = 0.02  # of two probabilities in sixteen bits


def p_right(outputs: Sequence[float]) -> float:
    """P(right) from a head's outputs: probabilities of wrong and right, or one logit.

    Raises:
        BadReply: they are neither.
    """
    if not all(math.isfinite(output) for output in outputs):
        raise BadReply(f"the head gave {list(outputs)}")
    if len(outputs) == 1:
        logit = outputs[0]
        return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))
    if len(outputs) != 2 or min(outputs) < 0 or abs(sum(outputs) - 1) > _ROUNDING:
        raise BadReply(f"the head gave {list(outputs)[:4]}: not the probabilities of two classes")
    return min(outputs[1], 1.0)


def qwen_outcome(tokenizer: Tokenizer, problem: str, steps: Sequence[str]) -> HeadInput:
    """Qwen2.5-Math-RM: ChatML; the reward is read at the conversation's last id."""
    opened = _asked(tokenizer, problem)
    ids = opened + tokenizer.encode("".join(map(defused, steps)) + "<|im_end|>\n")
    return HeadInput(ids, (len(ids) - 1,), len(opened))


def _asked(tokenizer: Tokenizer, problem: str) -> Ids:
    asked = f"<|im_start|>user\n{defused(problem)}<|im_end|>\n<|im_start|>assistant\n"
    return tokenizer.encode(f"<|im_start|>system\n{QWEN_SYSTEM}<|im_end|>\n{asked}")


def qwen(tokenizer: Tokenizer, problem: str, steps: Sequence[str]) -> HeadInput:
    """Qwen2.5-Math-PRM: ChatML, `<extra_0>` after each step; class 1 of 2 is right."""
    return _with_steps(_asked(tokenizer, problem), tokenizer, steps, QWEN_SEPARATOR, "<|im_end|>\n")


def skywork(
    tokenizer: Tokenizer, problem: str, steps: Sequence[str], begin: str = "<|endoftext|>"
) -> HeadInput:
    """Skywork-o1-Open-PRM: each step on a line; the sigmoid of the value at its end is the score.

    `begin` is the checkpoint's beginning-of-sequence token.
    """
    ids = tokenizer.encode(f"{begin}{defused(problem)}\n")
    return _with_steps(ids, tokenizer, [" ".join(step.split("\n")) for step in steps], "\n", "")


def _with_steps(
    ids: Ids, tokenizer: Tokenizer, steps: Sequence[str], separator: str, end: str
) -> HeadInput:
    """The separator is appended as ids: encoded with a step it may not be a token of its own."""
    mark = tokenizer.encode(separator)
    if len(mark) != 1:
        raise ConfigError(f"this tokenizer has no token {separator!r}: wrong model for this layout")
    start = len(ids)
    positions: list[int] = []
    for step in steps:
        ids += tokenizer.encode(defused(step)) + mark
        positions.append(len(ids) - 1)
    return HeadInput(ids + tokenizer.encode(end), tuple(positions), start)


class HeadPRM:
    """Implements `tts.verifier.Verifier`: all steps in one pass. Owns its engine."""

    def __init__(
        self,
        engine: StepScores,
        layout: Layout,
        *,
        reduction: Reduction = Reduction.MIN,
        step_tokens: int = 2048,
    ) -> None:
        """Steps of more than `step_tokens` tokens are not judged, nor is what follows them."""
        self._engine = engine
        self._layout = layout
        self._reduction = reduction
        self._step_tokens = step_tokens

    @property
    def model(self) -> ModelInfo | None:
        return self._engine.model

    @property
    def reduction(self) -> Reduction:
        return self._reduction

    @property
    def sampled(self) -> bool:
        return False

    def bound(self, case: Case, more_tokens: int) -> Cost:
        texts = [step.text.strip() for step in case.steps]
        if not more_tokens and not any(texts[len(case.judged) :]):
            return Cost()
        length = len(self._input(case, [*texts, "."] if more_tokens else texts).ids)
        prompt = length + self._step_tokens if more_tokens else length
        return Cost(min(prompt, self._engine.model.context_tokens), samples=1, calls=1)

    async def judge(self, case: Case, meter: Meter) -> Sequence[Judgement | None]:
        texts = [step.text.strip() for step in case.steps]
        new = range(len(case.judged), len(texts))
        if not any(texts[index] for index in new):
            return [None for _ in new]
        input = self._input(case, texts)
        longest = max(b - a for a, b in pairwise((input.start - 1, *input.positions)))
        if longest > self._step_tokens or len(input.ids) > self._engine.model.context_tokens:
            reason = f"a step is longer than {self._step_tokens} tokens, or the context is full"
            return [Judgement(None, reason=reason) if texts[index] else None for index in new]
        own = Meter()
        try:
            scores = iter(await self._engine.scores(input, own))
        finally:
            meter.add(own)
        by_step = [next(scores) if text else None for text in texts]
        costs = iter([own.cost])
        return [
            None if score is None else Judgement(score, (Vote(score),), cost=next(costs, Cost()))
            for score in by_step[len(case.judged) :]
        ]

    async def aclose(self) -> None:
        await self._engine.aclose()

    def _input(self, case: Case, texts: Sequence[str]) -> HeadInput:
        shown = [text for text in texts if text]
        return self._layout(self._engine.tokenizer, case.problem.prompt, shown)
