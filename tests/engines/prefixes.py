"""Prefixes: what any real engine computes of prompts that begin alike, as tests to inherit."""

from __future__ import annotations

import anyio

from tts.backends.base import Backend, Request
from tts.budget.meter import Meter
from tts.types import Cost

LONG = " ".join(f"Evaluate {n} + 3 * {n % 9}." for n in range(40))


def prompt_of(backend: Backend, text: str) -> tuple[int, ...]:
    """`text` as a user's turn."""
    return backend.tokenizer.chat([{"role": "user", "content": text}])


class PrefixContract:
    """Each token of a search is computed about once. Wants a fixture `backend`."""

    async def test_a_burst_of_siblings_computes_its_prompt_once(self, backend: Backend) -> None:
        prompt = prompt_of(backend, f"{LONG} Evaluate 5 + 8.")
        costs: list[Cost] = []

        async def one(seed: int) -> None:
            costs.append((await backend.generate(Request(prompt, 4, (seed,)), Meter())).cost)

        async with anyio.create_task_group() as group:
            for seed in range(8):
                group.start_soon(one, seed)
        computed = sum(cost.prompt_tokens - cost.cached_tokens for cost in costs)
        # Once in full, and what a block of 32 does not hold for each of the others.
        assert len(prompt) <= computed + 100
        assert computed <= len(prompt) + 7 * 32

    async def test_a_next_step_computes_its_own_tokens_only(self, backend: Backend) -> None:
        prompt = prompt_of(backend, f"{LONG} Evaluate 6 + 7.")
        first = await backend.generate(Request(prompt, 64), Meter())
        longer = prompt + first.samples[0].token_ids
        cost = (await backend.generate(Request(longer, 1), Meter())).cost
        assert cost.prompt_tokens - cost.cached_tokens <= 33
