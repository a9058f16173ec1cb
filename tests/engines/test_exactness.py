"""Greedy decoding gives the same tokens through every engine, but where two are all but tied.

Engines add in different orders, so that log-probabilities differ in their last digits. Where the
first differing token comes, the embedded engine's own numbers must call the two all but equal.
"""

from typing import Any

import anyio
import pytest

from tts.backends.base import Backend, Request, Sample, Sampling
from tts.budget.meter import Meter
from tts.registry import open_backend
from tts_nano import open_nano
from tts_nano.problems import FAMILIES, generate

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300), pytest.mark.anyio]

GREEDY = Sampling(temperature=0.0)
TIED = 1e-4
"""Nats. Both servers compute in float32, the embedded engine too."""


async def answers(backend: Backend, prompts: list[tuple[int, ...]]) -> list[Sample]:
    found: dict[int, Sample] = {}

    async def one(index: int) -> None:
        request = Request(prompts[index], 160, sampling=GREEDY)
        found[index] = (await backend.generate(request, Meter())).samples[0]

    async with anyio.create_task_group() as group:
        for index in range(len(prompts)):
            group.start_soon(one, index)
    return [found[index] for index in range(len(prompts))]


async def gap(nano: Backend, prompt: tuple[int, ...], a: int, b: int) -> float:
    """How much likelier one of two tokens is than the other, in nats, to the embedded engine."""
    request = Request(prompt, 1, sampling=GREEDY, logprob_ids=(a, b))
    first, second = (await nano.generate(request, Meter())).samples[0].first_logprobs
    return abs(first - second)


async def test_greedy_tokens_are_those_of_the_embedded_engine(server: Any) -> None:
    nano, remote = open_nano(), open_backend(server.spec)
    try:
        problems = [
            generate(family, level, seed, "dev").prompt
            for family in FAMILIES
            for level in (2, 4, 6)
            for seed in range(8)
        ]
        prompts = [nano.tokenizer.chat([{"role": "user", "content": each}]) for each in problems]
        ours, theirs = await answers(nano, prompts), await answers(remote, prompts)
        same = 0
        for prompt, a, b in zip(prompts, ours, theirs, strict=True):
            if a.token_ids == b.token_ids:
                same += 1
                assert b.logprob == pytest.approx(a.logprob, abs=2e-2)
                continue
            pairs = zip(a.token_ids, b.token_ids, strict=False)
            at = next(n for n, (x, y) in enumerate(pairs) if x != y)
            before = prompt + a.token_ids[:at]
            assert await gap(nano, before, a.token_ids[at], b.token_ids[at]) < TIED
        assert same >= 0.9 * len(prompts)
    finally:
        await nano.aclose()
        await remote.aclose()
