"""Agreement: whether two engines of one model write the same, but where two tokens are tied.

Engines add in different orders, so that log-probabilities differ in their last digits. Where the
first differing token comes, the engine that is compared with says by how much it prefers its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import anyio

from tts.backends.base import Backend, Request, Sample, Sampling
from tts.budget.meter import Meter

_GREEDY = Sampling(temperature=0.0)


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was found over some prompts."""

    prompts: int
    tokens: int
    """Written by the engine that is compared with."""
    same: int
    """Prompts to which both wrote the same tokens."""
    off: float
    """Largest difference of a token's log-probability among those: nats."""
    gaps: tuple[float, ...]
    """For each other prompt, how much likelier one of the two first differing tokens is: nats."""


async def greedy_agreement(
    known: Backend, other: Backend, prompts: Sequence[tuple[int, ...]], max_tokens: int = 160
) -> Agreement:
    """How `other` agrees with `known` over what both write greedily."""
    ours = await _answers(known, prompts, max_tokens)
    theirs = await _answers(other, prompts, max_tokens)
    off, gaps = 0.0, []
    for prompt, a, b in zip(prompts, ours, theirs, strict=True):
        if a.token_ids == b.token_ids:
            pairs = zip(a.logprobs, b.logprobs, strict=True)
            off = max([off, *(abs(x - y) for x, y in pairs)])
            continue
        differ = (x != y for x, y in zip(a.token_ids, b.token_ids, strict=False))
        at = next((n for n, other_one in enumerate(differ) if other_one), None)
        # One that is the other's beginning differs by why it ended, which no tie explains.
        gaps.append(
            float("inf")
            if at is None
            else await _gap(known, prompt + a.token_ids[:at], a.token_ids[at], b.token_ids[at])
        )
    tokens = sum(len(sample.token_ids) for sample in ours)
    return Agreement(len(prompts), tokens, len(prompts) - len(gaps), off, tuple(gaps))


async def _answers(
    backend: Backend, prompts: Sequence[tuple[int, ...]], max_tokens: int
) -> list[Sample]:
    found: dict[int, Sample] = {}

    async def one(index: int) -> None:
        request = Request(prompts[index], max_tokens, sampling=_GREEDY)
        found[index] = (await backend.generate(request, Meter())).samples[0]

    async with anyio.create_task_group() as group:
        for index in range(len(prompts)):
            group.start_soon(one, index)
    return [found[index] for index in range(len(prompts))]


async def _gap(known: Backend, prompt: tuple[int, ...], a: int, b: int) -> float:
    request = Request(prompt, 1, sampling=_GREEDY, logprob_ids=(a, b))
    first, second = (await known.generate(request, Meter())).samples[0].first_logprobs
    return abs(first - second)
