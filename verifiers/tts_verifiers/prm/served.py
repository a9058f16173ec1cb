"""Served: heads behind HTTP, of vLLM's pooling runner and of SGLang's embedding mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import aiohttp

from tts.backends.base import ModelInfo, Tokenizer
from tts.errors import BackendError, BadReply, ConfigError, Overlong, Unavailable
from tts.verifier import Cost, Meter
from tts_verifiers.prm.heads import HeadInput, p_right

_NO_LIMIT: Final = aiohttp.ClientTimeout(total=None, sock_connect=30)
_TOO_LONG: Final = ("context length", "maximum context", "longer than", "too long")
_SHOWN: Final = 300


class PoolingServer:
    """Implements `StepScores` over vLLM's `POST /pooling`.

    A server with a `step_tag_id` answers with one row for each step tag, one without with a row for
    each token: both are read. A row of two is softmaxed by the server, a row of one is a logit.
    """

    def __init__(
        self, url: str, model: ModelInfo, tokenizer: Tokenizer, *, served: str = ""
    ) -> None:
        """`served` is the model's name on a server of several."""
        self._line = _Line(url, "/pooling")
        self._named = {"model": served} if served else {}
        self.model = model
        self.tokenizer = tokenizer

    async def scores(self, input: HeadInput, meter: Meter) -> Sequence[float]:
        body = {**self._named, "input": list(input.ids), "encoding_format": "float"}
        reply = await self._line.post(body, len(input.ids), meter)
        try:
            (entry,) = reply["data"]
            rows = [row if isinstance(row, list) else [row] for row in entry["data"]]
        except (KeyError, TypeError, ValueError):
            raise self._line.nonsense(reply) from None
        if len(rows) == len(input.ids) != len(input.positions):
            rows = [rows[position] for position in input.positions]
        if len(rows) != len(input.positions):
            raise BadReply(
                f"{self._line.url}: {len(rows)} rows for {len(input.positions)} steps; "
                "is the server's step_tag_id this model's?"
            )
        return [p_right(row) for row in rows]

    async def aclose(self) -> None:
        await self._line.aclose()


class ClassifyServer:
    """Implements `StepScores` over SGLang's `POST /classify`, which reads the last token alone."""

    def __init__(self, url: str, model: ModelInfo, tokenizer: Tokenizer) -> None:
        self._line = _Line(url, "/classify")
        self.model = model
        self.tokenizer = tokenizer

    async def scores(self, input: HeadInput, meter: Meter) -> Sequence[float]:
        if input.positions != (len(input.ids) - 1,):
            raise ConfigError("SGLang gives a text's last output alone: no scores of its steps")
        reply = await self._line.post({"input_ids": list(input.ids)}, len(input.ids), meter)
        try:
            (entry,) = reply if isinstance(reply, list) else [reply]
            row = entry["embedding"]
            if len(row) != 1:  # an embedding model, or a classifier
                raise BadReply(f"{self._line.url}: {len(row)} outputs: this is no reward model")
        except (KeyError, TypeError, ValueError):
            raise self._line.nonsense(reply) from None
        return [p_right(row)]

    async def aclose(self) -> None:
        await self._line.aclose()


class _Line:
    """One address to which JSON is posted."""

    def __init__(self, url: str, path: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"{url!r} is no address: write http://HOST:PORT")
        self.url = url.rstrip("/") + path
        self._session: aiohttp.ClientSession | None = None

    async def post(self, body: Mapping[str, object], tokens: int, meter: Meter) -> Any:
        """The reply to one call with a prompt of `tokens` ids.

        Raises:
            Unavailable, Overlong, BadReply: as of an engine.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_NO_LIMIT)
        with meter.call(Cost(tokens, samples=1, calls=1)):  # known beforehand, so never unbooked
            try:
                async with self._session.post(self.url, json=body) as response:
                    text = await response.text()
                    if response.status == 200:
                        return await response.json(content_type=None)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise Unavailable(f"{self.url}: {error or type(error).__name__}") from None
            except ValueError:
                raise BadReply(f"{self.url}: not JSON: {_short(text)}") from None
        raise self._refusal(response.status, text)

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def nonsense(self, reply: object) -> BadReply:
        """The error for a reply of another shape."""
        return BadReply(f"{self.url} answered something else than scores: {_short(reply)}")

    def _refusal(self, status: int, text: str) -> BackendError:
        words = f"{self.url}: {status}: {_short(text)}"
        if status == 400 and any(sign in text.lower() for sign in _TOO_LONG):
            return Overlong(words)
        return Unavailable(words) if status >= 500 else BadReply(words)


def _short(reply: object) -> str:
    text = str(reply)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + " ..."
