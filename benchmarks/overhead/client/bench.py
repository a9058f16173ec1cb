"""What a step costs us between search and engine: CPU seconds of the client, with many in flight.

A server in a process of its own answers each request after a pause with the same sample, in the
shapes of SGLang and of vLLM. Counted is the processor time of this process alone.

    python benchmarks/overhead/client/bench.py --in-flight 1024 --requests 8192
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

import aiohttp
import anyio
from aiohttp import web

from tts.backends.base import Request
from tts.backends.remote.facts import Known
from tts.backends.remote.opening import Terms, connect
from tts.backends.remote.sglang import SGLang
from tts.backends.remote.vllm import VLLM
from tts.budget.meter import Meter
from tts.testing.servers import SGLangServer, VLLMServer
from tts_nano import open_nano
from tts_nano.backend import SHIPPED

KINDS = {"sglang": (SGLangServer, SGLang), "vllm": (VLLMServer, VLLM)}
ROUTES = {"sglang": "/generate", "vllm": "/v1/completions"}


Ids = tuple[int, ...]


def serve(kind: str, pause: float, tokens: int, pipe: Connection) -> None:
    """Answer everything with one sample of `tokens` tokens, after `pause` seconds."""

    async def run() -> None:
        nano = open_nano()
        server = KINDS[kind][0](nano, str(SHIPPED / "policy"))
        text = "30 * 2 = 60, so 12 + 60.\n\n" * tokens
        ids = nano.tokenizer.encode(text)[:tokens]
        text = nano.tokenizer.decode(ids)
        if kind == "vllm":
            logprobs = {
                "token_logprobs": [-0.25] * tokens,
                "top_logprobs": [{f"token_id:{id}": -0.25} for id in ids],
                "tokens": [f"token_id:{id}" for id in ids],
            }
            reply = {
                "choices": [
                    {
                        "text": text,
                        "token_ids": ids,
                        "logprobs": logprobs,
                        "finish_reason": "length",
                    }
                ],
                "usage": {
                    "prompt_tokens": 9,
                    "completion_tokens": tokens,
                    "prompt_tokens_details": {"cached_tokens": 8},
                },
            }
        else:
            reply = {
                "text": text,
                "output_ids": ids,
                "meta_info": {
                    "finish_reason": {"type": "length"},
                    "prompt_tokens": 9,
                    "cached_tokens": 8,
                    "completion_tokens": tokens,
                    "output_token_logprobs": [[-0.25, id, None] for id in ids],
                },
            }
        body = json.dumps(reply).encode()
        opened = anyio.Event()

        async def canned(request: web.Request) -> web.Response | None:
            if not opened.is_set():
                return None
            streams = b'"stream":true' in await request.read()
            await anyio.sleep(pause)
            if streams:
                return web.Response(body=b"data: " + body + b"\n\ndata: [DONE]\n\n")
            return web.Response(body=body, content_type="application/json")

        server.intercepted = canned  # type: ignore[method-assign]
        server.cache_tokens = 1 << 24  # so that nobody waits for room
        async with server.running():
            pipe.send(server.url)
            await anyio.to_thread.run_sync(pipe.recv)  # opened
            opened.set()
            await anyio.to_thread.run_sync(pipe.recv)  # done
        await nano.aclose()

    anyio.run(run)


async def timed(
    name: str, ask: Callable[[Ids, int], Awaitable[Ids]], root: Ids, args: argparse.Namespace
) -> None:
    """Print the CPU milliseconds that a request takes."""
    pending = iter(range(args.requests))

    async def work() -> None:
        ids = root
        for index in pending:
            ids = await ask(ids, index)

    begun, wall = time.process_time(), time.monotonic()
    async with anyio.create_task_group() as group:
        for _ in range(args.in_flight):
            group.start_soon(work)
    cpu, wall = time.process_time() - begun, time.monotonic() - wall
    print(
        f"{name} {1000 * cpu / args.requests:.3f} ms CPU a request, "
        f"{args.requests} requests, {args.in_flight} in flight, {wall:.1f} s"
    )


async def measure(kind: str, url: str, pipe: Connection, args: argparse.Namespace) -> None:
    """Our client, and aiohttp alone."""
    terms = Terms(at_once=args.in_flight, seconds=60, patience=1, api_key_env=None)
    backend = await connect(url, terms, Known(), KINDS[kind][1])
    pipe.send("opened")
    await anyio.sleep(0.2)
    root = (backend.tokenizer.encode("Evaluate 12 + 30 * 2. ") * args.prompt)[: args.prompt]
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    payload = {"stream": False, "prompt": root}

    async def bare(ids: Ids, index: int) -> Ids:
        async with session.post(url + ROUTES[kind], json=payload) as response:
            await response.json()
        return ids

    async def ours(ids: Ids, index: int) -> Ids:
        # As in a search: a step goes on from what the engine wrote.
        request = Request(ids, args.tokens, (index,), stop=("\n\n\n",))
        sample = (await backend.generate(request, Meter())).samples[0]
        return ids + sample.token_ids if len(ids) < 2 * args.prompt else root

    async with session:
        await timed(f"{kind:7} aiohttp alone ", bare, root, args)
        await timed(f"{kind:7} tts           ", ours, root, args)
    await backend.aclose()
    pipe.send("done")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--in-flight", type=int, default=1024)
    parser.add_argument("--requests", type=int, default=8192)
    parser.add_argument("--tokens", type=int, default=64, help="of a sample")
    parser.add_argument("--prompt", type=int, default=512, help="tokens of a prompt")
    parser.add_argument("--pause", type=float, default=0.5, help="of the server, seconds")
    args = parser.parse_args()
    for kind in KINDS:
        ours, theirs = multiprocessing.Pipe()
        child = multiprocessing.Process(target=serve, args=(kind, args.pause, args.tokens, theirs))
        child.start()
        try:
            anyio.run(measure, kind, ours.recv(), ours, args)
            child.join(timeout=10)
        finally:
            child.terminate()


if __name__ == "__main__":
    main()
