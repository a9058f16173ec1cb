"""Chat endpoints: what they can do is found out first, and nothing is spent on what they cannot."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio.to_thread
import pytest
from aiohttp import web

from tts.backends.base import Backend, Dialect, ModelInfo
from tts.backends.remote.admission import Admission
from tts.backends.remote.chat import ChatEndpoint
from tts.backends.remote.line import Line
from tts.budget.budget import Budget
from tts.budget.meter import Meter
from tts.chat import ChatPolicy
from tts.engine import Engine
from tts.errors import BadReply, ConfigError
from tts.registry import open_backend
from tts.testing.chat import ChatServer
from tts.types import FREE, POLICY, Finish, Problem

pytestmark = pytest.mark.anyio

PROBLEM = Problem("sum", "Evaluate 12 + 30 * 2.")
Served = Callable[..., AbstractAsyncContextManager[tuple[ChatServer, ChatPolicy]]]
ABLE: dict[str, Any] = {"continues": True, "tells_stop": True}


@pytest.fixture
def served(nano: Backend) -> Served:
    """A server with the abilities that are named, and a policy over it."""

    @asynccontextmanager
    async def make(**abilities: Any) -> AsyncIterator[tuple[ChatServer, ChatPolicy]]:
        server = ChatServer(nano, "", **abilities)
        async with server.running():
            line = Line(server.url + "/v1", patience=0.2)
            endpoint = await ChatEndpoint.opened(line, "policy", Admission(16))
            dialect = Dialect(user="{problem}", step_tokens=96, answer_tokens=640)
            model = ModelInfo("policy", 0, 2048, dialect=dialect)
            policy = ChatPolicy(endpoint, model)
            server.asked.clear()
            try:
                yield server, policy
            finally:
                await policy.aclose()

    return make


async def test_an_endpoint_like_openai_writes_whole_solutions(served: Served) -> None:
    async with served(limit="max_completion_tokens") as (server, policy):
        async with Engine(policy) as engine:
            result = await engine.solve(PROBLEM, "best_of_n:n=4", Budget(tokens=4_000))
        assert result.answer == "72"
        assert [node.step.finish for node in result.tree if node.finished] == [Finish.EOS] * 4
        written = sum(node.step.cost.output_tokens for node in result.tree)
        assert result.spend.costs[POLICY].output_tokens == written
        assert all("max_tokens" not in body for body in server.asked)


@pytest.mark.parametrize(
    ("abilities", "reason"),
    [
        ({"lenient": True, "tells_stop": True}, "does not go on with an assistant's message"),
        ({"continues": True}, "does not tell the end of a step"),
    ],
)
async def test_a_search_by_steps_is_refused_before_anything_is_spent(
    served: Served, abilities: dict[str, Any], reason: str
) -> None:
    async with served(**abilities) as (server, policy):
        async with Engine(policy, "genprm-nano") as engine:
            with pytest.raises(ConfigError, match=reason):
                await engine.solve(PROBLEM, "beam:n=4,width=2")
        assert not server.asked


async def test_steps_continue_one_another_where_the_endpoint_can(served: Served) -> None:
    async with served(**ABLE) as (server, policy):
        meter = Meter()
        first = await policy.extend(PROBLEM, (), max_tokens=96, seed=1, meter=meter)
        assert first.text.endswith("\n\n")
        assert first.finish is Finish.STEP
        assert first.logprob < 0
        rest = await policy.complete(PROBLEM, [first], max_tokens=500, seed=2, meter=meter)
        assert rest[-1].finish is Finish.EOS
        assert "boxed{72}" in rest[-1].text
        assert server.asked[1]["messages"][-1] == {"role": "assistant", "content": first.text}
        assert meter.cost == first.cost + rest[0].cost


async def test_a_bound_holds_what_a_call_takes(served: Served) -> None:
    async with served(**ABLE) as (_, policy):
        meter = Meter()
        bound = policy.bound(PROBLEM, (), 96)
        await policy.extend(PROBLEM, (), max_tokens=96, seed=1, meter=meter)
        assert meter.cost.prompt_tokens <= bound.prompt_tokens
        assert meter.cost.output_tokens <= bound.output_tokens


async def test_parameters_that_are_refused_are_left_out(served: Served) -> None:
    async with served(takes=frozenset()) as (server, policy):
        await policy.complete(PROBLEM, (), max_tokens=9, seed=1, meter=Meter())
        (body,) = server.asked
        assert not {"seed", "logprobs", "top_k", "repetition_penalty"} & set(body)


async def test_defaults_of_servers_are_overruled_where_they_can_be(served: Served) -> None:
    takes = frozenset({"top_k", "min_p", "repetition_penalty"})
    async with served(takes=takes) as (server, policy):
        await policy.complete(PROBLEM, (), max_tokens=9, seed=1, meter=Meter())
        (body,) = server.asked
        assert (body["top_k"], body["repetition_penalty"]) == (-1, 1.0)


async def test_a_refusal_costs_nothing_and_half_an_answer_its_bound(served: Served) -> None:
    async with served() as (server, policy):

        async def refuses(_: web.Request) -> web.Response:
            return web.json_response({"error": {"message": "no"}}, status=400)

        async def breaks(_: web.Request) -> web.Response:
            return web.Response(text='{"choices": [')

        server.faults.extend([refuses, breaks])
        for cost in (FREE, replace(policy.bound(PROBLEM, (), 9))):
            meter = Meter()
            with pytest.raises(BadReply):
                await policy.complete(PROBLEM, (), max_tokens=9, seed=1, meter=meter)
            assert meter.cost == cost


async def test_a_spec_opens_one_with_a_key_that_no_message_tells(
    nano: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_KEY", "sk-secret")
    server = ChatServer(nano, "", names=("big", "small"))
    async with server.running():
        spec = f"openai:{server.url}/v1,api_key_env=OTHER_KEY"

        def solve(model: str) -> Any:
            return Engine(f"{spec}{model}")

        with pytest.raises(ConfigError, match=r"lists 2 models \(big, small\)") as raised:
            await anyio.to_thread.run_sync(solve, "")
        assert "secret" not in str(raised.value)
        engine = await anyio.to_thread.run_sync(solve, ",model=small,user={problem}")
        async with engine:
            assert engine.policy.model.name == "small"
            assert (await engine.solve(PROBLEM, "best_of_n:n=1")).answer == "72"
        with pytest.raises(ConfigError, match="speaks only text"):
            await anyio.to_thread.run_sync(open_backend, f"{spec},model=small")
        assert set(server.keys) == {"Bearer sk-secret"}
