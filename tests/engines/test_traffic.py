"""What reaches a real engine, by its own counters: prefixes computed once, work given up."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from tests.engines.prefixes import LONG, PrefixContract, prompt_of
from tts.backends.base import Backend, Request, Sampling
from tts.budget.meter import Meter
from tts.registry import open_backend

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300), pytest.mark.anyio]

RUNNING = {"vllm": "vllm:num_requests_running", "sglang": "sglang:num_running_reqs"}


@pytest.fixture
async def backend(server: Any) -> AsyncIterator[Backend]:
    backend = open_backend(server.spec)
    yield backend
    await backend.aclose()


class TestPrefixes(PrefixContract):
    """Over HTTP."""


async def test_booked_hits_are_those_that_the_server_counts(backend: Backend, server: Any) -> None:
    counted = {"vllm": "vllm:prefix_cache_hits_total", "sglang": "sglang:cached_tokens_total"}
    prompt = prompt_of(backend, f"{LONG} Evaluate 4 + 9.")
    await backend.generate(Request(prompt, 1), Meter())
    before = server.metric(counted[server.kind])
    meter = Meter()
    await backend.generate(Request(prompt, 1, (1, 2, 3)), meter)
    hits = server.metric(counted[server.kind]) - before
    saved = 3 * len(prompt) - (meter.cost.prompt_tokens - meter.cost.cached_tokens)
    assert hits == pytest.approx(saved, abs=1)


async def test_cancelled_work_leaves_the_engine(backend: Backend, server: Any) -> None:
    prompt = prompt_of(backend, "Count from 1 on.")
    meter = Meter()
    # So hot that the model hardly ever ends.
    request = Request(prompt, 1500, tuple(range(6)), Sampling(temperature=2.0))
    with anyio.move_on_after(1.0):
        await backend.generate(request, meter)
    with anyio.fail_after(10):
        while server.metric(RUNNING[server.kind]):  # noqa: ASYNC110 - another process's counter
            await anyio.sleep(0.1)
    assert 0 < meter.cost.output_tokens <= 6 * 1500
    if server.kind == "sglang":  # it tells what the aborted ones had
        assert meter.cost.output_tokens < 6 * 1500
