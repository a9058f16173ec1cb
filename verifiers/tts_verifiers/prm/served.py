"""Served: heads behind HTTP, of vLLM's pooling runner and of SGLang's embedding mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tts.backends.base import ModelInfo, Tokenizer
from tts.backends.remote.line import Line
from tts.errors import BadReply, ConfigError, Unavailable
from tts.verifier import Cost, Meter
from tts_verifiers.prm.heads import HeadInput, p_right

_SHOWN: Final = 300


class PoolingServer:
    """Implements `StepScores` over vLLM's `POST /pooling`.

    A server with a `step_tag_id` answers with one row for each step tag, one without with a row for
    each token: both are read. A row of two is softmaxed by the server, a row of one is a logit.
    """

    def __init__(
        self, line: Line, model: ModelInfo, tokenizer: Tokenizer, *, served: str = ""
    ) -> None:
        """Owns `line`. `served` is the model's name on a server of several."""
        self._route = _Route(line, "/pooling")
        self._named = {"model": served} if served else {}
        self.model = model
        self.tokenizer = tokenizer

    async def scores(self, input: HeadInput, meter: Meter) -> Sequence[float]:
        body = {**self._named, "input": list(input.ids), "encoding_format": "float"}
        reply = await self._route.post(body, len(input.ids), meter)
        try:
            (entry,) = reply["data"]
            rows = [row if isinstance(row, list) else [row] for row in entry["data"]]
        except (KeyError, TypeError, ValueError):
            raise self._route.nonsense(reply) from None
        if len(rows) == len(input.ids) != len(input.positions):
            rows = [rows[position] for position in input.positions]
        if len(rows) != len(input.positions):
            raise BadReply(
                f"{self._route.url}: {len(rows)} rows for {len(input.positions)} steps; "
                "is the server's step_tag_id this model's?"
            )
        return [p_right(row) for row in rows]

    async def aclose(self) -> None:
        await self._route.aclose()


class ClassifyServer:
    """Implements `StepScores` over SGLang's `POST /classify`, which reads the last token alone."""

    def __init__(self, line: Line, model: ModelInfo, tokenizer: Tokenizer) -> None:
        """Owns `line`."""
        self._route = _Route(line, "/classify")
        self.model = model
        self.tokenizer = tokenizer

    async def scores(self, input: HeadInput, meter: Meter) -> Sequence[float]:
        if input.positions != (len(input.ids) - 1,):
            raise ConfigError("SGLang gives a text's last output alone: no scores of its steps")
        reply = await self._route.post({"input_ids": list(input.ids)}, len(input.ids), meter)
        try:
            (entry,) = reply if isinstance(reply, list) else [reply]
            row = entry["embedding"]
            if len(row) != 1:  # an embedding model, or a classifier
                raise BadReply(f"{self._route.url}: {len(row)} outputs: this is no reward model")
        except (KeyError, TypeError, ValueError):
            raise self._route.nonsense(reply) from None
        return [p_right(row)]

    async def aclose(self) -> None:
        await self._route.aclose()


class _Route:
    """What JSON is posted to. Nobody waits for a server that was never there."""

    def __init__(self, line: Line, path: str) -> None:
        self.url = line.url + path
        self._line = line
        self._path = path
        self._answered = False

    async def post(self, body: Mapping[str, object], tokens: int, meter: Meter) -> Any:
        """The reply to one call with a prompt of `tokens` ids.

        Raises:
            Unavailable, Overlong, BadReply: as of `Line.post`.
        """
        if not self._answered:
            if not await self._line.answers():
                raise Unavailable(f"{self._line.name}: no server answers there")
            self._answered = True
        with meter.call(Cost(tokens, samples=1, calls=1)):  # known beforehand, so never unbooked
            return await self._line.post(self._path, body)

    def nonsense(self, reply: object) -> BadReply:
        """The error for a reply of another shape."""
        return BadReply(f"{self.url} answered something else than scores: {_short(reply)}")

    async def aclose(self) -> None:
        await self._line.aclose()


def _short(reply: object) -> str:
    text = str(reply)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + " ..."
