"""Line: JSON to one server and back, within a bounded time, repeating only what cost nothing.

A request is sent again where the server cannot have begun it: no connection, 429 or 503. Anything
else may have been paid for: it is told, and its cost is booked by whoever asked.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import aiohttp
import anyio

from tts.backends.remote.outage import Outage
from tts.backends.remote.refusal import BUSY, Away, Unbegun, failure_of
from tts.errors import BackendError, BadReply, ConfigError, Lost, Unavailable

KEEP_ALIVE_SECONDS: Final = 1.0
"""So much shorter than that of uvicorn (5 s) that no request meets a connection being closed, even
if this process was late to hear of the last answer."""
CONNECT_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = (0.05, 5.0)  # the first pause and the longest


@dataclass(eq=False, slots=True)
class Errand:
    """A request for whoever pays for it, whichever way it ends."""

    out: bool = False
    """Whether the server may have begun it: it was sent, and not turned away."""


class Line:
    """Connections to one server. They open with the first request, on whatever loop that runs."""

    def __init__(
        self,
        url: str,
        *,
        seconds: float = 600.0,
        patience: float = 30.0,
        headers: Mapping[str, str] | None = None,
        on_busy: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            url: `http://host:port`, perhaps with a path that all routes begin with.
            seconds: most time for one request, all repetitions included.
            patience: how long a server may be away before all requests to it fail; it may be too
                busy for one during half of `seconds`.
            headers: sent with each request; never told to anybody else.
            on_busy: called when the server says that it is too busy, or does not answer in time.

        Raises:
            ConfigError: not such a URL.
        """
        parts = urlsplit(url)
        if parts.username or parts.password:
            raise ConfigError(f"no password in the address of {parts.hostname}; use api_key_env")
        if not _leads_somewhere(parts):
            raise ConfigError(f"{url!r} is no address of a server; write http://host:port")
        self.url = url.rstrip("/")
        self.name = self.url
        """What errors call the server; the model is added as soon as it is known."""
        self._seconds = seconds
        self._patience = patience
        self._headers = dict(headers or {})
        self.on_busy = on_busy
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._lost = False  # a connection, and the server has not been seen since
        self._looking = anyio.Lock()
        self._outage = Outage()
        self._chance = random.Random()

    async def get(self, route: str) -> Any:
        """What `route` answers: JSON, or text where it is none.

        Raises:
            Unavailable, BadReply: as for `post`.
        """
        async with self._asked("GET", route) as response:
            text = await response.text()
        try:
            return json.loads(text)
        except ValueError:
            return text

    async def post(
        self, route: str, body: Mapping[str, object], errand: Errand | None = None
    ) -> Any:
        """The JSON that `route` answers `body` with; `errand` tells how far it came.

        Raises:
            Overlong: the server says that the prompt does not fit.
            Lost: the server went away with the request.
            Unavailable: it cannot be reached, or took too long.
            BadReply: it refused the request, or its answer cannot be read.
        """
        async with self._asked("POST", route, body, errand) as response:
            content = await response.read()
        try:
            return json.loads(content)
        except ValueError:
            raise BadReply(f"{self.name}: {route} answered with what is not JSON") from None

    @asynccontextmanager
    async def stream(
        self, route: str, body: Mapping[str, object], errand: Errand | None = None
    ) -> AsyncIterator[Any]:
        """The server-sent events that `route` answers `body` with, as an iterator of JSON.

        Raises:
            Overlong, Unavailable, BadReply: as for `post`, also while it is read.
        """
        async with self._asked("POST", route, body, errand) as response:
            yield self._events(route, response)

    async def _events(self, route: str, response: aiohttp.ClientResponse) -> AsyncIterator[Any]:
        async for line in _lines(response.content):
            if line.startswith(b"data:"):
                data = line[5:].strip()
                if data == b"[DONE]":
                    return
                try:
                    yield json.loads(data)
                except ValueError:
                    raise BadReply(f"{self.name}: {route} sent an event that is no JSON") from None
        raise BadReply(f"{self.name}: {route} ended its answer before the end")

    async def answers(self, route: str = "/health", seconds: float = 2.0) -> bool:
        """Whether the server is there now."""
        try:
            timeout = aiohttp.ClientTimeout(total=seconds)
            async with self._opened().get(self.url + route, timeout=timeout) as response:
                return response.status not in BUSY
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    @asynccontextmanager
    async def opening(self, seconds: float) -> AsyncIterator[None]:
        """While a server is being asked what it is: no patience, and no connection is kept."""
        kept = self._seconds, self._patience
        self._seconds, self._patience = seconds, 0.0
        try:
            yield
        finally:
            self._seconds, self._patience = kept
            session, self._session = self._session, None
            if session is not None:
                await session.close()

    async def aclose(self) -> None:
        """Close all connections; requests in flight fail. Idempotent."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._closed:
            raise Unavailable(f"{self.name}: closed")
        loop = asyncio.get_running_loop()
        if self._session is None or self._loop is not loop:
            self._loop = loop
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                headers=self._headers,
                read_bufsize=1 << 20,
                # Engines stand in one's own network; what is elsewhere may be behind a proxy.
                trust_env=self.url.startswith("https:"),
                trace_configs=[_tracing()],
            )
        return self._session

    @asynccontextmanager
    async def _asked(
        self,
        method: str,
        route: str,
        body: Mapping[str, object] | None = None,
        errand: Errand | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A response with status 200, all of it within the time limit, errors made ours."""
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json"} if data else None
        try:
            async with asyncio.timeout(self._seconds):
                response = await self._accepted(method, route, data, headers, errand or Errand())
                try:
                    yield response
                finally:
                    response.release()
        except TimeoutError:
            self.on_busy()
            self._lost = True
            raise Unavailable(f"{self.name}: no answer within {self._seconds:g} s") from None
        except aiohttp.ClientPayloadError:
            self._lost = True
            raise Lost(f"{self.name}: {route} broke off in the middle of its answer") from None
        except (aiohttp.ClientError, OSError) as error:
            self._lost = True
            reason = _one_line(error)
            raise Lost(f"{self.name}: the connection was lost: {reason}") from None

    async def _accepted(
        self,
        method: str,
        route: str,
        data: bytes | None,
        headers: Mapping[str, str] | None,
        errand: Errand,
    ) -> aiohttp.ClientResponse:
        """Ask until the server takes the request, as long as it cannot have begun it."""
        begun = anyio.current_time()
        pause, longest = _PAUSE_SECONDS
        if self._lost:
            await self._seen_again()
        while True:
            wait: float | None = None
            try:
                response = await self._opened().request(
                    method,
                    self.url + route,
                    data=data,
                    headers=headers,
                    trace_request_ctx=errand,
                )
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                failure: BackendError = Away(f"{self.name}: cannot be reached: {_one_line(error)}")
                end = self._outage.notice() + self._patience
            else:
                self._outage.end()
                if response.status == 200:
                    return response
                async with response:
                    text = (await response.content.read(4096)).decode(errors="replace")
                status, reason = response.status, response.reason or ""
                failure = failure_of(self.name, route, status, reason, text)
                errand.out = not isinstance(failure, Unbegun)
                if response.status not in BUSY:
                    raise failure
                self.on_busy()
                wait = _seconds_after(response.headers.get("Retry-After"))
                # What is begun later may be cut off by the time limit, and would be paid for.
                end = begun + self._seconds / 2
            # Half to all of the pause: those that were turned away together come back apart.
            wait = wait or pause * self._chance.uniform(0.5, 1)
            if anyio.current_time() + wait >= end:
                raise failure from None
            await anyio.sleep(wait)
            pause = min(2 * pause, longest)

    async def _seen_again(self) -> None:
        """Wait for a server of which a connection was lost.

        One that is dying may still take requests, and nobody could tell whether it began them.

        Raises:
            Away: it does not come back.
        """
        looked = self._looking.locked()  # somebody else does, and this one waits for the outcome
        async with self._looking:
            pause, longest = _PAUSE_SECONDS
            while self._lost:
                if not looked and await self.answers():
                    self._lost = False
                    self._outage.end()
                elif anyio.current_time() + pause >= self._outage.notice() + self._patience:
                    raise Away(f"{self.name}: went away and did not come back")
                else:
                    await anyio.sleep(pause)
                    pause, looked = min(2 * pause, longest), False


def _tracing() -> aiohttp.TraceConfig:
    """Tells the errand of each request when it is sent over a connection."""

    async def sent(_: object, context: Any, __: object) -> None:
        if context.trace_request_ctx is not None:
            context.trace_request_ctx.out = True

    tracing = aiohttp.TraceConfig()
    tracing.on_request_headers_sent.append(sent)
    return tracing


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length."""
    begun: list[bytes] = []
    async for chunk in content.iter_any():
        *ended, rest = chunk.split(b"\n")
        for line in ended:
            yield b"".join((*begun, line))
            begun.clear()
        begun.append(rest)
    yield b"".join(begun)


def _leads_somewhere(parts: SplitResult) -> bool:
    """Whether it names a host, by HTTP, and a port that is a number if any."""
    try:
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _seconds_after(header: str | None) -> float | None:
    try:
        return min(float(header or ""), _PAUSE_SECONDS[1])
    except ValueError:
        return None


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return " ".join(str(error).split()) or type(error).__name__
