"""Opening: engines behind HTTP by their specs, `sglang:http://host:port` and the like.

A server is asked what it serves while it is opened, so that whoever holds the engine knows its
model. Connections for requests are made later, on the event loop that the requests come from.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from anyio.from_thread import start_blocking_portal

from tts.backends.base import Backend
from tts.backends.remote.admission import Admission
from tts.backends.remote.backend import RemoteBackend
from tts.backends.remote.facts import Known, model_of, verify
from tts.backends.remote.line import Line
from tts.backends.remote.routing import Several
from tts.backends.remote.sglang import Address, SGLang
from tts.backends.remote.vllm import VLLM
from tts.backends.remote.wire import Wire
from tts.errors import ConfigError, Unavailable

OPENING_SECONDS: Final = 20.0
"""For a server to say what it serves."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How an engine is used."""

    at_once: int
    seconds: float
    patience: float
    api_key_env: str | None

    def line(self, address: str) -> Line:
        """Raises:
        ConfigError: `address` is none, or the key's variable is not set.
        """
        headers: dict[str, str] = {}
        if self.api_key_env is not None:
            key = os.environ.get(self.api_key_env)
            if not key:
                raise ConfigError(f"{address}: the variable {self.api_key_env} holds no key")
            headers["Authorization"] = f"Bearer {key}"
        return Line(address, seconds=self.seconds, patience=self.patience, headers=headers)


def open_sglang(
    *addresses: str,
    tokenizer: str | None = None,
    parameters: float | None = None,
    at_once: int = 256,
    seconds: float = 600.0,
    patience: float = 30.0,
    step_tokens: int | None = None,
    answer_tokens: int | None = None,
    tempered: bool = False,
    adapter: str | None = None,
    api_key_env: str | None = None,
) -> Backend:
    """Servers of one model by SGLang: `sglang:http://host:30000`.

    `tokenizer` is the model's folder here, if the server names one that is elsewhere; `at_once` the
    most requests in flight at a server; `seconds` the most for one request; `patience` how long a
    server may be away; `tempered` is content with log-probabilities after temperature; `adapter` is
    one of the server's LoRA adapters; `api_key_env` names the environment's variable with the key.
    """
    known = Known(tokenizer, parameters, step_tokens, answer_tokens)
    terms = Terms(at_once, seconds, patience, api_key_env)

    def wire_of(line: Line) -> Wire:
        return SGLang(Address(line), tempered=tempered, adapter=adapter)

    return _opened(addresses, terms, known, wire_of)


def open_vllm(
    *addresses: str,
    model: str | None = None,
    tokenizer: str | None = None,
    parameters: float | None = None,
    at_once: int = 256,
    seconds: float = 600.0,
    patience: float = 30.0,
    step_tokens: int | None = None,
    answer_tokens: int | None = None,
    api_key_env: str | None = None,
) -> Backend:
    """Servers of one model by vLLM: `vllm:http://host:8000`.

    `model` is the name that it is served under, where there are several; the others as for sglang.
    """
    known = Known(tokenizer, parameters, step_tokens, answer_tokens)
    terms = Terms(at_once, seconds, patience, api_key_env)
    return _opened(addresses, terms, known, partial(VLLM, model=model))


async def connect(
    address: str, terms: Terms, known: Known, wire_of: Callable[[Line], Wire]
) -> RemoteBackend:
    """The engine at `address`, on the running event loop.

    Raises:
        Unavailable: there is no server.
        BadReply: it is of another kind.
        ConfigError: its model is not known well enough here; see `facts`.
    """
    line = terms.line(address)
    wire = wire_of(line)
    async with line.opening(OPENING_SECONDS):
        told = await wire.tell()
        line.name = f"{line.url} ({told.served})"
        model = model_of(told, known, line.url)
        await verify(model, wire, line.url)
    admission = Admission(terms.at_once, told.cache_tokens)
    line.on_busy = admission.shrink
    return RemoteBackend(wire, model, admission)


async def connect_all(
    addresses: Sequence[str], terms: Terms, known: Known, wire_of: Callable[[Line], Wire]
) -> Backend:
    """The engines at `addresses` as one, on the running event loop.

    Raises:
        BackendError, ConfigError: as `connect`; all that are down are named.
    """
    if not addresses:
        raise ConfigError("say where the server is: http://host:port")
    if len(addresses) == 1:
        return await connect(addresses[0], terms, known, wire_of)
    # Who is away is told at once: there are others.
    impatient = replace(terms, patience=0.0)
    copies: list[tuple[str, RemoteBackend]] = []
    down: list[str] = []
    for address in addresses:
        try:
            copies.append((address, await connect(address, impatient, known, wire_of)))
        except Unavailable as error:
            down.append(str(error))
    if down:
        raise Unavailable("; ".join(down))
    return Several(copies, patience=terms.patience)


def _opened(
    addresses: Sequence[str], terms: Terms, known: Known, wire_of: Callable[[Line], Wire]
) -> Backend:
    with start_blocking_portal() as portal:
        return portal.call(connect_all, addresses, terms, known, wire_of)
