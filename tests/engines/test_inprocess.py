"""vLLM and SGLang inside of a process, where its interpreter has them; see `test_interpreters`."""

from importlib.util import find_spec
from typing import Any

import anyio
import pytest

from tests.engines.prefixes import PrefixContract, prompt_of
from tts.backends.base import Backend, Request, Sampling
from tts.budget.budget import Budget
from tts.budget.meter import Meter
from tts.engine import Engine
from tts.policy import LanguagePolicy
from tts.testing import BackendContract
from tts.types import POLICY

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600), pytest.mark.anyio]

HERE = next((kind for kind in ("vllm", "sglang") if find_spec(kind)), None)


@pytest.fixture
def backend(inprocess: Backend) -> Backend:
    return inprocess


class TestContract(BackendContract):
    seeds_decide = HERE == "vllm"  # SGLang's torch-native attention does not look at seeds

    @pytest.fixture
    def backend(self, inprocess: Backend) -> Backend:
        return inprocess

    async def test_closes_twice_and_is_then_gone(
        self, backend: Backend, prompt: tuple[int, ...]
    ) -> None:
        pytest.skip("looked at when the session ends, since one engine serves all tests")


class TestPrefixes(PrefixContract):
    """Without a wire."""


async def test_it_describes_its_model(backend: Backend) -> None:
    assert backend.model.parameters == 2_251_712
    assert 2040 <= backend.model.context_tokens <= 2048
    assert (backend.model.cache_tokens or 0) > 10_000
    assert backend.model.dialect.user == "{problem}"


async def test_cancelled_work_leaves_the_engine_and_costs_what_it_took(backend: Backend) -> None:
    meter = Meter()
    # So hot that the model hardly ever ends.
    request = Request(
        prompt_of(backend, "Count from 1 on."), 1500, tuple(range(6)), Sampling(temperature=2.0)
    )
    with anyio.move_on_after(1.0):
        async with anyio.create_task_group() as group:
            group.start_soon(backend.generate, request, meter)
            await anyio.sleep(0.4)
            assert running(backend) > 0  # some may have ended by themselves
    assert 0 < meter.cost.output_tokens < 6 * 1500
    with anyio.fail_after(10):  # what was given up does not stand in anybody's way
        await backend.generate(Request(request.prompt, 4), Meter())
    assert running(backend) == 0


def running(backend: Any) -> float:
    """Requests in the engine: by its scheduler's own gauge (vLLM), or not answered yet (SGLang)."""
    if HERE == "sglang":
        return len(backend._wire._door._engine.tokenizer_manager.rid_to_state)
    from vllm.v1.metrics.reader import get_metrics_snapshot

    gauges = [each for each in get_metrics_snapshot() if each.name == "vllm:num_requests_running"]
    assert gauges
    return sum(float(each.value) for each in gauges)


async def test_a_search_goes_through_it(backend: Backend, record_property: Any) -> None:
    budget = Budget(tokens=8_000)
    async with Engine(LanguagePolicy(backend), "genprm-nano") as engine:
        result = await engine.solve("Evaluate 12 + 30 * 2.", "beam:n=4,width=2", budget)
    assert not result.errors
    cost = result.spend.costs[POLICY]
    record_property("engine", HERE)
    record_property("answer", result.answer)
    record_property("prompt_tokens", cost.prompt_tokens)
    record_property("cached_tokens", cost.cached_tokens)
    record_property("output_tokens", cost.output_tokens)
