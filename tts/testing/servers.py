"""Servers with SGLang's and vLLM's protocols over any backend, for tests of what talks to them.

Their replies have the shapes that the real ones were seen to send (SGLang 0.5.23, vLLM 0.32.0), and
their faults are scripted. They compute with the backend that they are given.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tts.backends.base import Backend, Ending, Request, Sample, Sampling
from tts.budget.meter import Meter

Fault = Callable[[web.Request], Awaitable[web.StreamResponse | None]]
"""Answers a request instead of the server, or lets it pass: None."""


@dataclass
class Server:
    """What both kinds have in common."""

    engine: Backend
    folder: str
    """Where it says that its model is."""
    seconds_a_token: float = 0.0
    faults: deque[Fault] = field(default_factory=deque)
    """For the next requests for samples, one each."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    """The bodies of all requests for samples."""
    in_flight: int = 0
    given_up: int = 0
    """Requests that were aborted, or whose client went away."""
    gave_up: asyncio.Event = field(default_factory=asyncio.Event)
    seen: set[tuple[int, ...]] = field(default_factory=set)
    """Prompts whose prefill is done, so that they count as cached."""
    url: str = ""
    healthy: bool = True
    raw: bool = True
    """Whether log-probabilities are those before temperature."""
    cache_tokens: int = 16_000
    """What it says that its cache holds."""
    adapters: tuple[str, ...] = ()
    """LoRA adapters of its model, by name."""

    def routes(self) -> list[web.RouteDef]:
        """What it serves."""
        return [
            web.get("/health", self.health),
            web.get("/v1/models", self.models),
            web.post("/detokenize", self.detokenize),
        ]

    async def health(self, _: web.Request) -> web.Response:
        """Whether it is well."""
        return web.Response(status=200 if self.healthy else 503)

    async def models(self, _: web.Request) -> web.Response:
        """Its one model, and its adapters as vLLM lists them."""
        context = self.engine.model.context_tokens
        entry = {"id": "policy", "root": self.folder, "max_model_len": context}
        adapters = [
            {"id": name, "root": f"/adapters/{name}", "parent": "policy", "max_model_len": None}
            for name in self.adapters
        ]
        return web.json_response({"object": "list", "data": [entry, *adapters]})

    async def detokenize(self, request: web.Request) -> web.Response:
        """Text of token ids."""
        text = self.engine.tokenizer.decode((await request.json())["tokens"])
        return web.json_response({"prompt": text, "text": text})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Server]:
        """Serve on a free port of this machine, until the end or `gone`."""
        application = web.Application()
        application.add_routes(self.routes())
        # A client that goes away cancels its request, as with the real ones.
        runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        self._site = web.TCPSite(runner, "127.0.0.1", 0)
        await self._site.start()
        port = runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def gone(self) -> None:
        """Take no more connections."""
        await self._site.stop()

    async def sample(self, request: Request) -> Sample:
        """Compute a sample, and take its time."""
        self.in_flight += 1
        try:
            sample = (await self.engine.generate(request, Meter())).samples[0]
            if self.seconds_a_token:
                await asyncio.sleep(self.seconds_a_token * len(sample.token_ids))
        except asyncio.CancelledError:
            self.given_up += 1
            self.gave_up.set()
            raise
        else:
            return sample
        finally:
            self.in_flight -= 1

    async def intercepted(self, request: web.Request) -> web.StreamResponse | None:
        """What the next scripted fault answers."""
        return await self.faults.popleft()(request) if self.faults else None

    def scale(self, request: Request) -> float:
        """What a log-probability is off by, roughly, where it is taken after temperature."""
        return 1.0 if self.raw else 1 / max(0.01, request.sampling.temperature)

    def cached(self, prompt: tuple[int, ...]) -> int:
        """Tokens of `prompt` that were computed before; now all of them are."""
        cached = len(prompt) - 1 if prompt in self.seen else 0
        self.seen.add(prompt)
        return cached


class SGLangServer(Server):
    """As SGLang: aborted requests answer with what they had."""

    def routes(self) -> list[web.RouteDef]:
        self.running_tasks: dict[str, asyncio.Event] = {}
        return [
            *super().routes(),
            web.get("/model_info", self.model_info),
            web.get("/server_info", self.server_info),
            web.post("/generate", self.generate),
            web.post("/abort_request", self.abort),
        ]

    async def model_info(self, _: web.Request) -> web.Response:
        """Its model."""
        return web.json_response({"served_model_name": "policy", "model_path": self.folder})

    async def server_info(self, _: web.Request) -> web.Response:
        """Its settings."""
        told = {"max_total_num_tokens": self.cache_tokens, "max_req_input_len": self._longest}
        return web.json_response({**told, "version": "0.5.23"})

    @property
    def _longest(self) -> int:
        return self.engine.model.context_tokens - 6

    async def abort(self, request: web.Request) -> web.Response:
        """Give up a request."""
        if found := self.running_tasks.get((await request.json())["rid"]):
            found.set()
        return web.Response()

    async def generate(self, http: web.Request) -> web.StreamResponse:
        """One sample."""
        if (fault := await self.intercepted(http)) is not None:
            return fault
        body = await http.json()
        self.asked.append(body)
        told = body["sampling_params"]
        prompt = tuple(body["input_ids"])
        if len(prompt) > self._longest:
            message = f"The input ({len(prompt)} tokens) is longer than the model's context length"
            return web.json_response({"error": {"message": message}}, status=400)
        request = Request(
            prompt,
            told["max_new_tokens"],
            (told.get("sampling_seed", len(self.asked)),),
            Sampling(told["temperature"], told["top_p"], max(0, told["top_k"])),
            tuple(told["stop"]),
            tuple(told["stop_token_ids"]),
            tuple(body.get("token_ids_logprob", ())),
        )
        cached = self.cached(prompt)
        sample = (await self.engine.generate(request, Meter())).samples[0]
        aborted = self.running_tasks[body["rid"]] = asyncio.Event()
        self.in_flight += 1
        had = len(sample.token_ids)
        try:
            if self.seconds_a_token:
                had = 0
                while had < len(sample.token_ids) and not aborted.is_set():
                    had += 1
                    await asyncio.sleep(self.seconds_a_token)
        finally:
            self.in_flight -= 1
            del self.running_tasks[body["rid"]]
        reason = _reason(sample, aborted=aborted.is_set())
        self.given_up += aborted.is_set()
        reply = self._reply(sample, request, had, cached, reason)
        if not body.get("stream"):
            return web.json_response(reply)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(http)
        for end in sorted({1, had}):
            event = self._reply(sample, request, end, cached, reason if end == had else None)
            await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        return response

    def _reply(
        self,
        sample: Sample,
        request: Request,
        had: int,
        cached: int,
        reason: dict[str, Any] | None,
    ) -> dict[str, Any]:
        ids = list(sample.token_ids[:had])
        meta: dict[str, Any] = {
            "finish_reason": reason,
            "prompt_tokens": len(request.prompt),
            "completion_tokens": had,
            "cached_tokens": cached,
            "output_token_logprobs": [
                [logprob, id, None] for logprob, id in zip(sample.logprobs, ids, strict=False)
            ],
        }
        if request.logprob_ids:
            pairs = zip(sample.first_logprobs, request.logprob_ids, strict=True)
            scale = self.scale(request)
            meta["output_token_ids_logprobs"] = [[[scale * v, id, None] for v, id in pairs]]
        text = self.engine.tokenizer.decode(ids)
        return {"text": text, "output_ids": ids, "meta_info": meta}


def _reason(sample: Sample, *, aborted: bool) -> dict[str, Any]:
    if aborted:
        return {"type": "abort", "message": "Aborted by the client"}
    if sample.ending is Ending.LENGTH:
        return {"type": "length", "length": len(sample.token_ids)}
    return {"type": "stop", "matched": sample.token_ids[-1]}


class VLLMServer(Server):
    """As vLLM: a request ends with its connection."""

    def routes(self) -> list[web.RouteDef]:
        return [
            *super().routes(),
            web.get("/version", self.version),
            web.get("/metrics", self.metrics),
            web.post("/v1/completions", self.completions),
        ]

    async def version(self, _: web.Request) -> web.Response:
        """Its version."""
        return web.json_response({"version": "0.32.0"})

    async def metrics(self, _: web.Request) -> web.Response:
        """Its counters."""
        labels = f'block_size="32",num_gpu_blocks="{self.cache_tokens // 32}"'
        return web.Response(text=f"vllm:cache_config_info{{{labels}}} 1.0")

    async def completions(self, http: web.Request) -> web.StreamResponse:
        """One sample."""
        if (fault := await self.intercepted(http)) is not None:
            return fault
        body = await http.json()
        self.asked.append(body)
        prompt = tuple(body["prompt"])
        if len(prompt) >= self.engine.model.context_tokens:
            message = f"This model's maximum context length is {self.engine.model.context_tokens}"
            return web.json_response({"error": {"message": message}}, status=400)
        chosen = tuple(body.get("logprob_token_ids", ()))
        request = Request(
            prompt,
            body["max_tokens"],
            (body["seed"],),
            Sampling(body["temperature"], body["top_p"], max(0, body["top_k"])),
            tuple(body["stop"]),
            tuple(body["stop_token_ids"]),
            chosen,
        )
        cached = self.cached(prompt)
        sample = await self.sample(request)
        tops: list[dict[str, float]] = [{} for _ in sample.token_ids]
        if chosen:
            first = zip(chosen, sample.first_logprobs, strict=True)
            tops[0] = {f"token_id:{id}": self.scale(request) * value for id, value in first}
        choice = {
            "text": sample.text,
            "token_ids": sample.token_ids,
            "logprobs": {"token_logprobs": sample.logprobs, "top_logprobs": tops},
            "finish_reason": "length" if sample.ending is Ending.LENGTH else "stop",
        }
        usage = {
            "prompt_tokens": len(prompt),
            "completion_tokens": len(sample.token_ids),
            "prompt_tokens_details": {"cached_tokens": cached},
        }
        return web.json_response({"choices": [choice], "usage": usage})
