"""SGLang's `Engine`: its scheduler and its detokenizer run in processes that it starts (0.5.23).

Its own `shutdown` kills all children of this process, ours among them, and so do its ends of the
process. Here only those that it started are ended.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from tts.backends.inprocess.thread import LoopThread
from tts.backends.remote.line import Errand
from tts.backends.remote.refusal import Refused
from tts.backends.remote.sglang import Features, joined
from tts.backends.remote.wire import Told
from tts.errors import ConfigError, Unavailable


class Inside:
    """The `Door` of an engine in this process."""

    def __init__(self, location: str, options: Mapping[str, object]) -> None:
        """Start an engine; `options` by the names of SGLang's server arguments.

        Raises:
            ConfigError: it does not start.
        """
        # Read by the processes that it starts.
        os.environ.setdefault("SGLANG_RETURN_ORIGINAL_LOGPROB", "1")
        policy = asyncio.get_event_loop_policy()
        try:
            from sglang.srt.entrypoints.engine import Engine
        finally:
            asyncio.set_event_loop_policy(policy)  # it exchanges that of the whole process
        self._location = location
        self._closed = False
        self._thread = LoopThread("tts-sglang")
        settings = {"enable_cache_report": True, "sleep_on_idle": True, **options}
        try:
            self._engine = self._thread.call(lambda: Engine(model_path=location, **settings))
        except (Exception, SystemExit) as error:
            self._thread.stop()
            raise ConfigError(f"{self.name} does not start: {error}") from error
        atexit.unregister(self._engine.shutdown)
        atexit.register(self._end)

    @property
    def name(self) -> str:
        return f"sglang-inproc:{self._location}"

    async def tell(self) -> tuple[Told, Features]:
        from sglang.version import __version__

        facts = self._engine._scheduler_init_result.scheduler_infos[0]  # noqa: SLF001
        settings = self._engine.server_args
        context = int(self._engine.tokenizer_manager.model_config.context_len)
        told = Told(
            served=self._location,
            model=self._location,
            # It keeps some tokens of the context to itself.
            context_tokens=min(context, int(facts.get("max_req_input_len", context)) + 1),
            cache_tokens=facts.get("max_total_num_tokens"),
            version=f"SGLang {__version__}, in this process",
        )
        names = (
            "enable_deterministic_inference",
            "enable_priority_scheduling",
            "schedule_low_priority_values_first",
        )
        return told, Features.of({name: getattr(settings, name, None) for name in names})

    async def text_of(self, ids: Sequence[int]) -> str | None:
        return None  # it reads the same folder

    async def reply(
        self, body: dict[str, object], errand: Errand, begun: Callable[[], None] | None
    ) -> dict[str, Any]:
        if self._closed:
            raise Unavailable(f"{self.name}: closed")
        errand.out = True
        # Called where it waits, which is not where the engine lives.
        tell = begun and partial(asyncio.get_running_loop().call_soon_threadsafe, begun)
        return await self._thread.run(self._served(body, tell))

    async def abort(self, rid: str) -> None:
        async def aborted() -> None:
            self._engine.tokenizer_manager.abort_request(rid)

        if not self._closed:
            await self._thread.run(aborted())

    async def answers(self) -> bool:
        return not self._closed

    async def aclose(self) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._end)

    async def _served(
        self, body: dict[str, object], begun: Callable[[], object] | None
    ) -> dict[str, Any]:
        """The reply to `body`; runs on the engine's loop."""
        whole: dict[str, Any] = {}
        try:
            if begun is None:
                whole = await self._engine.async_generate(**body)
            else:
                async for event in await self._engine.async_generate(**body, stream=True):
                    begun()
                    whole = joined(whole, event)
        except ValueError as error:
            raise Refused(f"{self.name}: {error}") from None
        return whole

    def _end(self) -> None:
        """End the engine's processes, and no others."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self._end)
        watchdog = self._engine.tokenizer_manager._subprocess_watchdog  # noqa: SLF001
        if watchdog is not None:
            watchdog.stop()
        for pid in self._engine.get_all_child_pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._thread.stop()
