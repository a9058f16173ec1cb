"""vLLM's `AsyncLLM`: its scheduler and its model run in a process that it starts (0.32.0).

Tokens come as they are decoded, so that a request which is cancelled costs what had come, and the
two tokens that the engine may be ahead of us by.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
import anyio.to_thread

from tts.backends.base import Request
from tts.backends.inprocess.thread import LoopThread
from tts.backends.remote.bill import Bill, Call
from tts.backends.remote.reading import Raw
from tts.backends.remote.refusal import Refused
from tts.backends.remote.vllm import sampling_of
from tts.backends.remote.wire import Told
from tts.errors import BadReply, ConfigError, Unavailable

_AHEAD: Final = 2
"""Tokens that may be decoded, or scheduled, before we hear of an earlier one."""


@dataclass(slots=True)
class _Heard:
    """What has come of one sample."""

    token_ids: list[int] = field(default_factory=list)
    logprobs: list[Mapping[int, Any]] = field(default_factory=list)
    text: str = ""
    reason: str | None = None


class VLLMInside:
    """Implements `Wire`."""

    gathers = False  # a block is shared from the moment that it is being computed

    def __init__(self, location: str, options: Mapping[str, object]) -> None:
        """Start an engine; `options` by the names of vLLM's engine arguments.

        Raises:
            ConfigError: it does not start.
        """
        from vllm import SamplingParams
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.sampling_params import RequestOutputKind
        from vllm.v1.engine.async_llm import AsyncLLM
        from vllm.v1.engine.exceptions import EngineDeadError

        self._parameters = SamplingParams
        self._kind = RequestOutputKind.DELTA
        self._dead = EngineDeadError
        self._location = location
        self._closed = False
        settings = {
            "enable_prefix_caching": True,
            "scheduling_policy": "priority",
            "logprobs_mode": "raw_logprobs",
            **options,
        }
        self._thread = LoopThread("tts-vllm")
        try:
            arguments = AsyncEngineArgs(model=location, **settings)
            self._engine: Any = self._thread.call(lambda: AsyncLLM.from_engine_args(arguments))
        except Exception as error:  # whatever it dislikes, and it says so in many ways
            self._thread.stop()
            raise ConfigError(f"vllm-inproc:{location} does not start: {error}") from error

    async def tell(self) -> Told:
        from vllm import __version__

        config = self._engine.vllm_config
        blocks = config.cache_config.num_gpu_blocks
        return Told(
            served=self._location,
            model=self._location,
            context_tokens=int(config.model_config.max_model_len),
            cache_tokens=None if blocks is None else blocks * config.cache_config.block_size,
            version=f"vLLM {__version__}, in this process",
        )

    async def text_of(self, ids: Sequence[int]) -> str | None:
        return None  # it reads the same folder

    async def prove(self, ids: Sequence[int]) -> None:
        """See that it answers at all; how it does is ours to set."""
        request = Request(tuple(ids), 1, logprob_ids=(ids[0],))
        await self.ask(request, Bill(request), None)

    async def ask(self, request: Request, bill: Bill, begun: Callable[[], None] | None) -> Raw:
        if self._closed:
            raise Unavailable(f"vllm-inproc:{self._location}: closed")
        with bill.call() as call:
            call.out = True
            heard = await self._thread.run(self._served(request, call))
            if begun is not None:
                begun()
            try:
                return _raw(heard, request)
            except (KeyError, IndexError) as error:
                raise BadReply(f"vllm-inproc:{self._location}: a reply without {error}") from None

    async def answers(self) -> bool:
        return not self._closed and not self._engine.errored

    async def aclose(self) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._end)

    def _end(self) -> None:
        """End the engine's process and its loop. Idempotent."""
        if not self._closed:
            self._closed = True
            self._thread.call(self._engine.shutdown)
            self._thread.stop()
            self._engine = None  # it shuts down again when it goes, for which the exit is too late

    async def _served(self, request: Request, call: Call) -> _Heard:
        """All that comes of a request; runs on the engine's loop. Its end aborts the request."""
        logprobs: dict[str, object] = {"logprobs": 0}
        if request.logprob_ids:
            logprobs = {"logprob_token_ids": list(request.logprob_ids)}
        try:
            parameters = self._parameters(
                **sampling_of(request), **logprobs, output_kind=self._kind
            )
            outputs = self._engine.generate(
                {"prompt_token_ids": list(request.prompt)},
                parameters,
                uuid.uuid4().hex,
                priority=-request.priority,  # the smallest is served first
            )
            heard = _Heard()
            async for output in outputs:
                sample = output.outputs[0]
                heard.token_ids += sample.token_ids
                heard.logprobs += sample.logprobs or ()
                heard.text += sample.text
                heard.reason = sample.finish_reason
                ahead = 0 if output.finished else _AHEAD
                call.tell(
                    min(request.max_tokens, len(heard.token_ids) + ahead),
                    len(request.prompt) - (output.num_cached_tokens or 0),
                )
        except self._dead as error:
            raise Unavailable(f"vllm-inproc:{self._location}: the engine died: {error}") from None
        except ValueError as error:
            raise Refused(f"vllm-inproc:{self._location}: {error}") from None
        return heard


def _raw(heard: _Heard, request: Request) -> Raw:
    """The sample that was heard.

    Raises:
        BadReply: the engine gave up on it; KeyError, IndexError: log-probabilities are missing.
    """
    if heard.reason not in {"stop", "length"}:
        raise BadReply(f"the engine gave a sample up: {heard.reason}")
    chosen = zip(heard.token_ids, heard.logprobs, strict=False)
    return Raw(
        token_ids=tuple(heard.token_ids),
        logprobs=tuple(min(0.0, at[id].logprob) for id, at in chosen),
        text=heard.text,
        cut=heard.reason == "length",
        first=tuple(min(0.0, heard.logprobs[0][id].logprob) for id in request.logprob_ids),
    )
