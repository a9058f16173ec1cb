"""A server that is killed in the middle of its work, and started again."""

from typing import Any

import anyio
import pytest

from tts.backends.base import Request, Sampling
from tts.budget.meter import Meter
from tts.errors import BackendError, Unavailable
from tts.registry import open_backend

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600), pytest.mark.anyio]


async def test_what_is_lost_is_told_and_a_restarted_server_is_used_again(server: Any) -> None:
    backend = open_backend(f"{server.spec},patience=240,at_once=4")
    prompt = backend.tokenizer.chat([{"role": "user", "content": "Count from 1 on, please."}])
    lost: list[BackendError] = []
    served: list[int] = []
    meters = [Meter() for _ in range(8)]

    async def one(seed: int) -> None:
        request = Request(prompt, 1500, (seed,), Sampling(temperature=2.0))
        try:
            generation = await backend.generate(request, meters[seed])
            served.append(len(generation.samples[0].token_ids))
        except BackendError as error:
            lost.append(error)
            assert meters[seed].cost == request.bound

    try:
        async with anyio.create_task_group() as group:
            for seed in range(8):
                group.start_soon(one, seed)
            await anyio.sleep(1.0)  # four are being decoded, four wait for their turn
            await anyio.to_thread.run_sync(server.kill)
            await anyio.to_thread.run_sync(server.start)
        assert lost
        assert all(isinstance(error, Unavailable) for error in lost)
        assert all(server.url in str(error) for error in lost)
        # Those that had not been begun waited for the new server.
        assert len(served) >= 4, [str(error) for error in lost]
        assert sum(meter.cost.output_tokens for meter in meters) == (sum(served) + 1500 * len(lost))
    finally:
        await backend.aclose()
