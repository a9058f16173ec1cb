"""SGLang: `/generate` with token ids both ways, whichever door leads to the engine.

What its replies are like (0.5.23, seen): `output_ids` keep the stop token; `text` keeps the stop
string with `no_stop_trim`. Log-probabilities are taken after temperature, unless it is 0 or 1, or
the server runs with SGLANG_RETURN_ORIGINAL_LOGPROB=1. A request that is aborted by its id answers
with what it had, so that a cancelled sample costs what it took. A token id outside the vocabulary
kills the server.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import anyio

from tts.backends.base import Request, Sampling
from tts.backends.remote.bill import Bill, Call
from tts.backends.remote.line import Errand, Line
from tts.backends.remote.reading import Raw
from tts.backends.remote.refusal import message_of
from tts.backends.remote.wire import Told
from tts.errors import BackendError, BadReply, ConfigError, Unavailable

ABORT_SECONDS: Final = 5.0
"""For an aborted request to say what it had."""
_AGAIN_SECONDS: Final = 0.05
_AS_IS: Final = {
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "no_stop_trim": True,
    "skip_special_tokens": True,
}


@dataclass(frozen=True, slots=True)
class Features:
    """What an engine was started with."""

    seeds: bool
    """Whether it looks at seeds."""
    priorities: int
    """1: it serves the largest first; -1: the smallest; 0: it has none."""

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Features:
        """By the engine's own names."""
        order = -1 if settings.get("schedule_low_priority_values_first") else 1
        return cls(
            seeds=bool(settings.get("enable_deterministic_inference")),
            priorities=order if settings.get("enable_priority_scheduling") else 0,
        )


class Door(Protocol):
    """A way to one engine."""

    @property
    def name(self) -> str:
        """Of the engine, in errors."""
        ...

    async def tell(self) -> tuple[Told, Features]: ...

    async def text_of(self, ids: Sequence[int]) -> str | None: ...

    async def reply(
        self, body: dict[str, object], errand: Errand, begun: Callable[[], None] | None
    ) -> dict[str, Any]:
        """The engine's answer to `body`.

        `errand` tells whether the engine has it; `begun` is called at its first token.
        """
        ...

    async def abort(self, rid: str) -> None:
        """Have the engine give up a request, whose reply comes then."""
        ...

    async def answers(self) -> bool: ...

    async def aclose(self) -> None: ...


class Address:
    """The `Door` that is a server's address."""

    def __init__(self, line: Line) -> None:
        self._line = line

    @property
    def name(self) -> str:
        return self._line.name

    async def tell(self) -> tuple[Told, Features]:
        try:
            info = await self._line.get("/model_info")
        except BadReply:  # versions before 0.5.4
            info = await self._line.get("/get_model_info")
        try:
            server = await self._line.get("/server_info")
        except BadReply:
            server = await self._line.get("/get_server_info")
        models = await self._line.get("/v1/models")
        try:
            context = int(models["data"][0]["max_model_len"])
            # The server keeps some tokens of the context to itself.
            context = min(context, int(server.get("max_req_input_len", context)) + 1)
            told = Told(
                served=info.get("served_model_name", models["data"][0]["id"]),
                model=info["model_path"],
                context_tokens=context,
                cache_tokens=server.get("max_total_num_tokens"),
                version=f"SGLang {server.get('version', '')}".strip(),
            )
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            raise BadReply(f"{self._line.name}: this is not an SGLang server") from None
        return told, Features.of(server)

    async def text_of(self, ids: Sequence[int]) -> str | None:
        try:
            reply = await self._line.post("/detokenize", {"model": "default", "tokens": ids})
            return str(reply.get("prompt", reply.get("text")))
        except (BadReply, AttributeError):
            return None

    async def reply(
        self, body: dict[str, object], errand: Errand, begun: Callable[[], None] | None
    ) -> dict[str, Any]:
        if begun is None:
            return _mapping(await self._line.post("/generate", body, errand), self._line.name)
        whole: dict[str, Any] = {}
        async with self._line.stream("/generate", {**body, "stream": True}, errand) as events:
            async for event in events:
                if "error" in _mapping(event, self._line.name):
                    raise BadReply(f"{self._line.name}: {message_of(json.dumps(event))}")
                begun()
                try:
                    whole = joined(whole, event)
                except (KeyError, TypeError) as error:
                    missing = f"an event without {_one_line(error)}"
                    raise BadReply(f"{self._line.name}: {missing}: {str(event)[:120]}") from None
        return whole

    async def abort(self, rid: str) -> None:
        with suppress(BackendError):
            await self._line.post("/abort_request", {"rid": rid})

    async def answers(self) -> bool:
        return await self._line.answers()

    async def aclose(self) -> None:
        await self._line.aclose()


class SGLang:
    """Implements `Wire`."""

    gathers = True

    def __init__(self, door: Door, *, tempered: bool = False, adapter: str | None = None) -> None:
        """
        Args:
            door: to the engine.
            tempered: content with log-probabilities after temperature.
            adapter: which of the engine's LoRA adapters; None: its model as it is.
        """
        self._door = door
        self._tempered = tempered
        self._adapter = adapter
        self._features = Features(seeds=False, priorities=0)
        self._raw = False

    async def tell(self) -> Told:
        told, self._features = await self._door.tell()
        return told if self._adapter is None else replace(told, served=self._adapter)

    async def text_of(self, ids: Sequence[int]) -> str | None:
        return await self._door.text_of(ids)

    async def prove(self, ids: Sequence[int]) -> None:
        told: list[float] = []
        for temperature in (2.0, 1.0):
            sampling = Sampling(temperature=temperature)
            request = Request(tuple(ids), 1, sampling=sampling, logprob_ids=(ids[0],))
            reply = await self._door.reply(self._body(request, uuid.uuid4().hex), Errand(), None)
            told.extend(self._read(reply, request, Call()).first)
        self._raw = abs(told[0] - told[1]) < 0.02 * max(1.0, abs(told[1]))

    async def ask(self, request: Request, bill: Bill, begun: Callable[[], None] | None) -> Raw:
        if not (self._raw or self._tempered or request.sampling.temperature in {0.0, 1.0}):
            raise ConfigError(
                f"{self._door.name}: log-probabilities come after temperature "
                f"{request.sampling.temperature:g}; start the server with "
                "SGLANG_RETURN_ORIGINAL_LOGPROB=1, or be content with them: tempered=true"
            )
        rid = uuid.uuid4().hex
        body = self._body(request, rid)
        with bill.call() as call:
            # A task of its own, so that it can be waited for after a cancellation; cheaper than a
            # task group, and never left behind.
            reply = asyncio.ensure_future(self._door.reply(body, call, begun))
            try:
                return self._read(await asyncio.shield(reply), request, call)
            except asyncio.CancelledError:
                if (had := await self._aborted(rid, call, reply)) is not None:
                    with suppress(BackendError):
                        self._read(had, request, call)
                raise

    async def answers(self) -> bool:
        return await self._door.answers()

    async def aclose(self) -> None:
        await self._door.aclose()

    async def _aborted(
        self, rid: str, errand: Errand, reply: asyncio.Future[dict[str, Any]]
    ) -> dict[str, Any] | None:
        """Abort the request `rid`; what it replies then, if it was out and does so in time."""
        try:
            with anyio.move_on_after(ABORT_SECONDS, shield=True):
                while errand.out and not reply.done():  # again, if the abort overtook the request
                    await self._door.abort(rid)
                    await asyncio.wait([reply], timeout=_AGAIN_SECONDS)
        finally:
            reply.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([reply])
        return None if reply.cancelled() or reply.exception() else reply.result()

    def _body(self, request: Request, rid: str) -> dict[str, object]:
        sampling = request.sampling
        parameters: dict[str, object] = {
            **_AS_IS,
            "max_new_tokens": request.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k or -1,
            "stop": list(request.stop),
            "stop_token_ids": list(request.stop_ids),
        }
        if self._features.seeds:
            parameters["sampling_seed"] = request.seeds[0] & 0x7FFFFFFF
        body: dict[str, object] = {
            "rid": rid,
            "input_ids": list(request.prompt),
            "sampling_params": parameters,
            "return_logprob": True,
        }
        if self._adapter is not None:
            body["lora_path"] = self._adapter
        if request.logprob_ids:
            body["token_ids_logprob"] = list(request.logprob_ids)
        if self._features.priorities:
            body["priority"] = self._features.priorities * request.priority
        return body

    def _read(self, reply: dict[str, Any], request: Request, call: Call) -> Raw:
        """The sample in a reply, and what it cost.

        Raises:
            BadReply: there is none; Unavailable: the server gave up on it.
        """
        try:
            meta = reply["meta_info"]
            finish = meta["finish_reason"] or {}
            call.tell(meta["completion_tokens"], meta["prompt_tokens"] - meta["cached_tokens"])
            if finish.get("type") == "abort":
                raise Unavailable(
                    f"{self._door.name}: the server gave up: {finish.get('message', 'aborted')}"
                )
            first: list[float] = []
            if request.logprob_ids:
                at_first = {id: value for value, id, *_ in meta["output_token_ids_logprobs"][0]}
                first = [min(0.0, at_first[id]) for id in request.logprob_ids]
            return Raw(
                token_ids=tuple(reply["output_ids"]),
                logprobs=tuple(min(0.0, entry[0]) for entry in meta["output_token_logprobs"]),
                text=reply["text"],
                cut=finish.get("type") == "length",
                first=tuple(first),
            )
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise BadReply(
                f"{self._door.name}: a reply without {_one_line(error)}: {str(reply)[:120]}"
            ) from None


def joined(before: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    """What streamed so far; servers send all of it each time, or what is new."""
    meta = event["meta_info"]
    if not before or len(event["output_ids"]) == meta["completion_tokens"]:
        return event
    past = before["meta_info"]
    for key in ("output_token_logprobs", "output_token_ids_logprobs"):
        if key in meta:
            meta[key] = [*past.get(key, ()), *meta[key]]
    return {
        "text": before["text"] + event["text"],
        "output_ids": [*before["output_ids"], *event["output_ids"]],
        "meta_info": meta,
    }


def _mapping(reply: object, name: str) -> dict[str, Any]:
    if not isinstance(reply, dict):
        raise BadReply(f"{name}: an answer to /generate that is no object: {str(reply)[:80]}")
    return reply


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
