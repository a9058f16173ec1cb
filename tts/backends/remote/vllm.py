"""vLLM: `/v1/completions` with token ids both ways.

What its replies are like (0.32.0, seen): `token_ids` keep the token that ended the sample, whatever
the text drops. Log-probabilities are raw (`--logprobs-mode raw_logprobs`, its default).
`logprob_token_ids` needs `logprobs`. A request that is cancelled is given up when its connection
closes, and does not tell what it took. A sample follows from its seed alone only as far as other
rows of the batch do not change its arithmetic.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tts.backends.base import Request, Sampling
from tts.backends.remote.bill import Bill, Call
from tts.backends.remote.line import Line
from tts.backends.remote.reading import Raw
from tts.backends.remote.refusal import Refused
from tts.backends.remote.wire import Told
from tts.errors import BadReply, ConfigError

_AS_IS: Final = {
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "skip_special_tokens": True,
    "include_stop_str_in_output": True,
}
_REPLY: Final = {
    "return_token_ids": True,
    "return_tokens_as_token_ids": True,
    "add_special_tokens": False,
}
_CACHE: Final = re.compile(r"^vllm:cache_config_info\{(.*)\}", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')


def sampling_of(request: Request) -> dict[str, object]:
    """How a request's one sample is drawn and where it ends, by vLLM's names."""
    sampling = request.sampling
    return {
        **_AS_IS,
        "max_tokens": request.max_tokens,
        "seed": request.seeds[0],
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "stop": list(request.stop),
        "stop_token_ids": list(request.stop_ids),
    }


class VLLM:
    """Implements `Wire`."""

    gathers = False  # a block is shared from the moment that it is being computed

    def __init__(self, line: Line, *, model: str | None = None) -> None:
        """`model`: which of the server's models, by the name that it is served under."""
        self._line = line
        self._model = model
        self._priorities = True

    async def tell(self) -> Told:
        models = await self._line.get("/v1/models")
        try:
            served = {entry["id"]: entry for entry in models["data"]}
            if self._model is None:
                self._model = next(iter(served))
            if self._model not in served:
                raise ConfigError(
                    f"{self._line.url}: no model {self._model!r} (served: {', '.join(served)})"
                )
            entry = served[self._model]
            base = served.get(entry.get("parent"), entry)  # an adapter tells no length of its own
            context = int(entry.get("max_model_len") or base["max_model_len"])
            version = await self._line.get("/version")
        except (KeyError, IndexError, TypeError, ValueError, StopIteration):
            raise BadReply(f"{self._line.url}: this is not a vLLM server") from None
        return Told(
            served=self._model,
            model=entry.get("root") or self._model,
            context_tokens=context,
            cache_tokens=await self._cache_tokens(),
            version=f"vLLM {version['version']}" if isinstance(version, dict) else "vLLM",
        )

    async def text_of(self, ids: Sequence[int]) -> str | None:
        try:
            reply = await self._line.post("/detokenize", {"model": self._model, "tokens": ids})
            return str(reply.get("prompt", reply.get("text")))
        except (BadReply, AttributeError):
            return None

    async def prove(self, ids: Sequence[int]) -> None:
        told: list[float] = []
        for temperature in (2.0, 1.0):
            request = Request(
                tuple(ids),
                1,
                sampling=Sampling(temperature=temperature),
                logprob_ids=(ids[0],),
                priority=1,
            )
            try:
                raw = await self.ask(request, Bill(request), None)
            except Refused as error:
                if "priority" not in str(error):
                    raise ConfigError(f"{error} (is it vLLM 0.20 or newer?)") from None
                self._priorities = False
                raw = await self.ask(request, Bill(request), None)
            told.extend(raw.first)
        if abs(told[0] - told[1]) > 0.02 * max(1.0, abs(told[1])):
            raise ConfigError(
                f"{self._line.name}: log-probabilities change with the temperature; start the "
                "server with --logprobs-mode raw_logprobs"
            )

    async def ask(self, request: Request, bill: Bill, begun: Callable[[], None] | None) -> Raw:
        with bill.call() as call:
            reply = await self._line.post("/v1/completions", self._body(request), call)
            raw = self._read(reply, request, call)
        if begun is not None:
            begun()
        return raw

    async def answers(self) -> bool:
        return await self._line.answers()

    async def aclose(self) -> None:
        await self._line.aclose()

    async def _cache_tokens(self) -> int | None:
        """Blocks of the cache times their size, from the metrics; None where they are off."""
        try:
            metrics = await self._line.get("/metrics")
        except BadReply:
            return None
        found = _CACHE.search(metrics) if isinstance(metrics, str) else None
        labels = dict(_LABEL.findall(found.group(1))) if found else {}
        try:
            blocks = labels.get("num_gpu_blocks") or labels["num_cpu_blocks"]
            return int(blocks) * int(labels["block_size"])
        except (KeyError, ValueError):
            return None

    def _body(self, request: Request) -> dict[str, object]:
        body: dict[str, object] = {
            **sampling_of(request),
            **_REPLY,
            "model": self._model,
            "prompt": request.prompt,
            "logprobs": 0,
        }
        if request.logprob_ids:
            body |= {"logprobs": 1, "logprob_token_ids": list(request.logprob_ids)}
        if self._priorities:
            body["priority"] = -request.priority  # the smallest is served first
        return body

    def _read(self, reply: Any, request: Request, call: Call) -> Raw:
        """The sample in a reply, and what it cost.

        Raises:
            BadReply: there is none.
        """
        try:
            usage, choice = reply["usage"], reply["choices"][0]
            cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
            call.tell(usage["completion_tokens"], usage["prompt_tokens"] - cached)
            logprobs = choice["logprobs"]
            return Raw(
                token_ids=tuple(choice["token_ids"]),
                logprobs=tuple(min(0.0, value) for value in logprobs["token_logprobs"]),
                text=choice["text"],
                cut=choice["finish_reason"] == "length",
                first=_chosen(logprobs["top_logprobs"], request.logprob_ids),
            )
        except (KeyError, IndexError, TypeError, AttributeError):
            raise BadReply(
                f"{self._line.name}: not a completion with token ids: {str(reply)[:120]}"
            ) from None


def _chosen(positions: Sequence[Mapping[str, float]], wanted: Sequence[int]) -> tuple[float, ...]:
    return tuple(min(0.0, positions[0][f"token_id:{id}"]) for id in wanted)
