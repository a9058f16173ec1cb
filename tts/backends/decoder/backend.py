"""Backend: an engine in a thread of this process as `tts` sees it."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import anyio.to_thread

from tts.backends.base import Generation, ModelInfo, Request
from tts.backends.checks import check
from tts.backends.decoder.worker import Steps, Ticket, Worker
from tts.backends.tokenizer import FolderTokenizer
from tts.budget.meter import Meter


class DecoderBackend:
    """Implements `tts.backends.base.Backend`. Serves any number of requests at once."""

    def __init__(
        self, engine: Steps[Any], tokenizer: FolderTokenizer, model: ModelInfo, kind: str
    ) -> None:
        """`kind`: of the engine, for its thread and its errors."""
        self._tokenizer = tokenizer
        self._model = model
        self._worker = Worker(engine, kind)

    @property
    def model(self) -> ModelInfo:
        return self._model

    @property
    def tokenizer(self) -> FolderTokenizer:
        return self._tokenizer

    async def generate(self, request: Request, meter: Meter) -> Generation:
        """Serve `request`; its cost is booked on `meter`, exactly, also when it is cancelled.

        Raises:
            ConfigError: the request asks for something that makes no sense.
            Overlong: the prompt leaves no room for one token in the context window.
            Unavailable: the engine is closed or has died.
            BackendError: the engine died while it served the request.
        """
        check(request, self._model, self._tokenizer.vocabulary)
        ticket = self._worker.submit(request, asyncio.get_running_loop())
        with meter.call(request.bound) as reading:
            try:
                # Shielded, because what it settles with is wanted also after a cancellation.
                reply = await asyncio.shield(ticket.done)
            except asyncio.CancelledError:
                await self._cancel(ticket)
                raise
            finally:
                if ticket.done.done():
                    reading.cost = ticket.cost
        assert reply is not None
        return reply

    async def aclose(self) -> None:
        """End the thread; requests in flight get Unavailable. Idempotent."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._worker.close)

    async def _cancel(self, ticket: Ticket[Any]) -> None:
        """Wait, one step at most, until the engine has let go of a request."""
        self._worker.cancel(ticket)
        with anyio.CancelScope(shield=True):
            await asyncio.wait([ticket.done])
        if not ticket.done.cancelled():
            ticket.done.exception()  # seen, so that it is not reported as forgotten
