"""What goes wrong on the way to an engine: what is repeated, what is told, and what it costs."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from aiohttp import web

from tts.backends.base import Request
from tts.backends.remote.backend import RemoteBackend
from tts.backends.remote.facts import Known
from tts.backends.remote.opening import Terms, connect
from tts.backends.remote.sglang import ABORT_SECONDS
from tts.backends.remote.siblings import SHORT
from tts.backends.remote.vllm import VLLM
from tts.budget.meter import Meter
from tts.errors import BadReply, ConfigError, Overlong, Unavailable
from tts.testing.servers import Fault, Server
from tts.types import FREE

pytestmark = pytest.mark.anyio

PATIENCE = 0.3


def says(status: int, body: object = None, **headers: str) -> Fault:
    async def fault(_: web.Request) -> web.Response:
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=status, text=text, headers=headers)

    return fault


async def hangs(_: web.Request) -> web.Response:
    await asyncio.sleep(60)
    raise AssertionError


async def drops(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def breaks_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'data: {"text": "1')
    assert request.transport is not None
    request.transport.close()
    return response


@pytest.fixture
def patience() -> float:
    return PATIENCE


@pytest.fixture
def terms(patience: float) -> Terms:
    seconds = max(1.0, 2 * patience)
    return Terms(at_once=64, seconds=seconds, patience=patience, api_key_env=None)


def request_for(remote: RemoteBackend, tokens: int = 8) -> Request:
    prompt = remote.tokenizer.chat(
        [{"role": "user", "content": "Evaluate 12 + 30 * 2 - 4 + 5 * 6."}]
    )
    return Request(prompt, tokens, seeds=(5,))


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_server_is_asked_again_and_paid_once(
    remote: RemoteBackend, server: Server, status: int
) -> None:
    server.faults.extend(says(status, {"error": {"message": "queue full"}}) for _ in range(3))
    meter = Meter()
    generation = await remote.generate(request_for(remote), meter)
    assert len(server.asked) == 1
    assert meter.cost == generation.cost
    assert meter.cost.output_tokens == len(generation.samples[0].token_ids)


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (says(500, "Internal Server Error"), BadReply, "answered 500: Internal Server Error"),
        (says(200, '{"choices": [{"te'), BadReply, "not JSON|ended its answer"),
        (says(200, {"choices": []}), BadReply, "not a completion|reply without|ended its answer"),
        (hangs, Unavailable, r"no answer within 1 s"),
        (drops, Unavailable, "connection was lost"),
        (breaks_off, Unavailable, "broke off|connection was lost"),
    ],
)
async def test_what_may_have_been_paid_is_told_and_booked_at_its_bound(
    remote: RemoteBackend, server: Server, fault: Fault, error: type[Exception], message: str
) -> None:
    server.faults.append(fault)
    request, meter = request_for(remote), Meter()
    with pytest.raises(error, match=message) as raised:
        await remote.generate(request, meter)
    assert meter.cost == request.bound
    assert server.url in str(raised.value)
    assert "policy" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not server.asked  # it was not sent again
    again = await remote.generate(request, Meter())
    assert again.samples


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"error": {"message": "bad stop"}}, "bad stop"),
        ({"error": "bad stop"}, "bad stop"),
        ({"object": "error", "message": "bad stop", "type": "BadRequest", "code": 400}, "bad stop"),
        ({"detail": "Not Found"}, "Not Found"),
        ("bad stop", "bad stop"),
    ],
)
async def test_refusals_of_every_shape_say_why_and_cost_nothing(
    remote: RemoteBackend, server: Server, body: object, told: str
) -> None:
    server.faults.append(says(400, body))
    meter = Meter()
    with pytest.raises(BadReply, match=f"400: {told}$"):
        await remote.generate(request_for(remote), meter)
    assert meter.cost == FREE


async def test_a_prompt_that_the_server_finds_too_long_is_overlong(
    remote: RemoteBackend, server: Server
) -> None:
    told = "This model's maximum context length is 2048 tokens."
    server.faults.append(says(400, {"error": {"message": told}}))
    meter = Meter()
    with pytest.raises(Overlong, match="2048"):
        await remote.generate(request_for(remote), meter)
    assert meter.cost == FREE


async def test_a_server_that_stays_busy_is_unavailable_and_costs_nothing(
    remote: RemoteBackend, server: Server
) -> None:
    server.faults.extend(says(503, "The request queue is full.") for _ in range(100))
    meter = Meter()
    with pytest.raises(Unavailable, match=r"too busy.*queue is full"):
        await remote.generate(request_for(remote), meter)
    assert meter.cost == FREE
    server.faults.clear()


async def lose(remote: RemoteBackend, server: Server) -> None:
    """The server goes away with a request, and stays away."""
    server.faults.append(drops)
    with pytest.raises(Unavailable):
        await remote.generate(request_for(remote), Meter())
    server.healthy = False


async def test_a_server_that_was_lost_is_looked_for_before_it_is_asked_again(
    remote: RemoteBackend, server: Server
) -> None:
    await lose(remote, server)
    meter = Meter()
    with pytest.raises(Unavailable, match="went away and did not come back"):
        await remote.generate(request_for(remote), meter)
    assert meter.cost == FREE
    assert not server.asked
    server.healthy = True
    await remote.generate(request_for(remote), Meter())
    assert len(server.asked) == 1


@pytest.mark.parametrize("kind", ["sglang"])
async def test_siblings_that_wait_for_a_lost_server_lose_their_patience_together(
    remote: RemoteBackend, server: Server
) -> None:
    await lose(remote, server)
    begun = anyio.current_time()

    async def one(seed: int) -> None:
        with pytest.raises(Unavailable, match="did not come back"):
            await remote.generate(Request(request_for(remote).prompt, 8, seeds=(seed,)), Meter())

    async with anyio.create_task_group() as group:
        for seed in range(16):  # siblings: one after the other goes ahead
            group.start_soon(one, seed)
    assert anyio.current_time() - begun < 10 * PATIENCE


async def away(_: RemoteBackend, server: Server) -> None:
    await server.gone()


async def busy(_: RemoteBackend, server: Server) -> None:
    server.faults.extend(says(503, "The request queue is full.") for _ in range(1000))


@pytest.mark.parametrize("patience", [20.0])
@pytest.mark.parametrize("why", [lose, away, busy])
async def test_who_is_cancelled_before_the_server_took_the_request_pays_nothing(
    remote: RemoteBackend, server: Server, why: Callable[..., Awaitable[None]]
) -> None:
    await why(remote, server)
    meter, begun = Meter(), anyio.current_time()
    with anyio.move_on_after(0.2) as scope:
        await remote.generate(request_for(remote), meter)
    assert scope.cancelled_caught
    assert anyio.current_time() - begun < ABORT_SECONDS / 2
    assert meter.cost == FREE
    server.faults.clear()


@pytest.mark.parametrize("kind", ["sglang"])
async def test_a_second_cancellation_leaves_no_request_behind(
    remote: RemoteBackend, server: Server
) -> None:
    async def hears(request: web.Request) -> web.Response:
        heard.set()
        return await hangs(request)

    heard = anyio.Event()
    server.faults.append(hears)
    before, meter = asyncio.all_tasks(), Meter()
    task = asyncio.ensure_future(remote.generate(request_for(remote), meter))
    await heard.wait()
    for _ in range(2):  # the second while the first waits for what the server says
        await anyio.sleep(0.1)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await anyio.sleep(0.1)
    assert meter.cost == request_for(remote).bound
    assert not {each for each in asyncio.all_tasks() - before if "reply" in repr(each)}


async def test_ids_outside_the_vocabulary_are_never_sent(
    remote: RemoteBackend, server: Server
) -> None:
    with pytest.raises(ConfigError, match=r"prompt: there are token ids outside \[0, 448\)"):
        await remote.generate(Request((1, 448), 1), Meter())
    assert not server.asked


async def test_a_server_that_is_not_there_is_told_at_once(terms: Terms) -> None:
    with pytest.raises(Unavailable, match=r"http://127.0.0.1:9: cannot be reached"):
        await connect("http://127.0.0.1:9", terms, Known(), VLLM)


@pytest.mark.parametrize("kind", ["sglang"])
async def test_an_aborted_sample_costs_what_it_took(remote: RemoteBackend, server: Server) -> None:
    await remote.generate(request_for(remote), Meter())  # so that the prompt is known
    server.seconds_a_token = 0.02
    request, meter = request_for(remote, 400), Meter()
    with anyio.move_on_after(0.12):
        await remote.generate(request, meter)
    assert server.given_up == 1
    assert 1 <= meter.cost.output_tokens < 15
    assert meter.cost.cached_tokens == len(request.prompt) - 1


@pytest.mark.parametrize("kind", ["vllm"])
async def test_a_cancelled_sample_of_unknown_length_costs_its_bound(
    remote: RemoteBackend, server: Server
) -> None:
    server.seconds_a_token = 0.05
    request, meter = request_for(remote, 400), Meter()
    with anyio.move_on_after(0.1):
        await remote.generate(request, meter)
    assert meter.cost == request.bound
    with anyio.fail_after(5):
        await server.gave_up.wait()


async def test_the_first_of_a_burst_goes_ahead_where_engines_need_it(
    remote: RemoteBackend, server: Server, kind: str
) -> None:
    prompt = remote.tokenizer.chat([{"role": "user", "content": "Evaluate 55 + 30 * 2 - 4."}])
    costs: list[Any] = []

    async def one(seed: int) -> None:
        request = Request(prompt, 4, seeds=(seed,))
        costs.append((await remote.generate(request, Meter())).cost)

    async with anyio.create_task_group() as group:
        for seed in range(6):
            group.start_soon(one, seed)
    if kind == "sglang":
        assert [bool(body.get("stream")) for body in server.asked] == [True] + 5 * [False]
    assert sum(cost.prompt_tokens - cost.cached_tokens for cost in costs) == len(prompt) + 5


async def test_ids_behind_a_stop_are_dropped_and_text_follows_the_ids(
    remote: RemoteBackend, server: Server, kind: str
) -> None:
    ids = remote.tokenizer.encode("1 + 2 = 3, so 3.\n\nThe answer")
    text = remote.tokenizer.decode(ids)

    async def overshoots(_: web.Request) -> web.Response:
        usage = {"prompt_tokens": 15, "completion_tokens": len(ids)}
        logprobs = [-0.5] * len(ids)
        if kind == "vllm":
            told = {"token_logprobs": logprobs, "top_logprobs": [{}] * len(ids)}
            choice = {"text": text, "token_ids": ids, "logprobs": told, "finish_reason": "stop"}
            return web.json_response({"choices": [choice], "usage": usage})
        meta = {**usage, "cached_tokens": 0, "finish_reason": {"type": "stop"}}
        meta["output_token_logprobs"] = [[-0.5, id, None] for id in ids]
        event = json.dumps({"text": text, "output_ids": ids, "meta_info": meta})
        return web.Response(text=f"data: {event}\n\ndata: [DONE]\n\n" if streams else event)

    streams = kind == "sglang" and len(request_for(remote).prompt) >= SHORT
    server.faults.append(overshoots)
    request = Request(request_for(remote).prompt, 40, stop=("\n\n",))
    sample = (await remote.generate(request, Meter())).samples[0]
    assert sample.text.endswith(".\n\n")
    assert remote.tokenizer.decode(sample.token_ids) == sample.text
    assert sample.logprob == -0.5 * len(sample.token_ids)


async def test_a_server_with_another_vocabulary_is_found_out_at_a_reply(
    remote: RemoteBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = remote.tokenizer.decode
    prompt = request_for(remote).prompt
    sample = (await remote.generate(Request(prompt, 6), Meter())).samples[0]
    monkeypatch.setattr(remote.tokenizer, "decode", lambda ids: original([id + 1 for id in ids]))
    with pytest.raises(BadReply, match=r"to the server and .* to our tokenizer"):
        await remote.generate(Request(prompt, len(sample.token_ids)), Meter())


async def test_all_who_wait_for_a_lost_server_lose_their_patience_together(
    remote: RemoteBackend, server: Server
) -> None:
    await lose(remote, server)
    begun, ended = anyio.current_time(), list[float]()

    async def ask() -> None:
        with pytest.raises(Unavailable, match="did not come back"):
            await remote.generate(Request((5, 6, 7), 8, (5,)), Meter())  # too short for siblings
        ended.append(anyio.current_time() - begun)

    async with anyio.create_task_group() as group:
        for _ in range(12):
            group.start_soon(ask)
    assert len(ended) == 12
    assert max(ended) < 6 * 0.3  # one after the other they would take twelve times as long
