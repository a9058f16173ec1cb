"""Backend: the embedded engine as `tts` sees it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import anyio
import anyio.to_thread

from tts.backends.base import Dialect, Generation, ModelInfo, Request
from tts.backends.folder import advised_sampling, folder_dialect
from tts.backends.tokenizer import FolderTokenizer
from tts.budget.meter import Meter
from tts.errors import ConfigError, Overlong, unknown
from tts_nano import blas
from tts_nano.engine import Engine
from tts_nano.model import Model
from tts_nano.worker import Ticket, Worker

SHIPPED = Path(__file__).parent / "weights"
"""The models that come with `tts`, a folder each."""


class NanoBackend:
    """A NumPy decoder for one model. Serves any number of requests at once."""

    def __init__(self, engine: Engine, tokenizer: FolderTokenizer, model: ModelInfo) -> None:
        """See `load`."""
        self._tokenizer = tokenizer
        self._model = model
        self._worker = Worker(engine)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        cache_bytes: int = 256 << 20,
        threads: int = 1,
        max_batch: int = 64,
        dialect: Dialect | None = None,
    ) -> NanoBackend:
        """The model in a Hugging Face folder: Qwen2 or Llama, unquantized.

        Args:
            path: holds `config.json`, `tokenizer.json` and safetensors.
            cache_bytes: most memory for keys and values of earlier requests.
            threads: of matrix products, for the whole process.
            max_batch: samples that are decoded at once. Each takes memory for its own tokens,
                besides the cache.
            dialect: how the model was taught to be asked; what its folder says if None.

        Raises:
            ConfigError: the folder holds no such model; says which file is wrong, and why.
        """
        for name, value, least in (
            ("cache_bytes", cache_bytes, 0),
            ("threads", threads, 1),
            ("max_batch", max_batch, 1),
        ):
            if value < least:
                raise ConfigError(f"{name} = {value}; at least {least}")
        blas.set_threads(threads)
        folder = Path(path)
        model = Model.load(folder)
        a = model.architecture
        tokenizer = FolderTokenizer(folder, a.vocabulary)
        engine = Engine(model, tokenizer, cache_bytes=cache_bytes, max_batch=max_batch)
        info = ModelInfo(
            name=f"nano:{folder.resolve().name}",
            parameters=model.parameters,
            context_tokens=a.context,
            eos_ids=a.eos_ids,
            cache_tokens=engine.cache.capacity,
            dialect=dialect or folder_dialect(folder) or Dialect(),
            sampling=advised_sampling(folder),
        )
        return cls(engine, tokenizer, info)

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
        self._check(request)
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

    async def _cancel(self, ticket: Ticket) -> None:
        """Wait, one step at most, until the engine has let go of a request."""
        self._worker.cancel(ticket)
        with anyio.CancelScope(shield=True):
            await asyncio.wait([ticket.done])
        if not ticket.done.cancelled():
            ticket.done.exception()  # seen, so that it is not reported as forgotten

    def _check(self, request: Request) -> None:
        vocabulary, context = self._tokenizer.vocabulary, self._model.context_tokens
        if not request.prompt:
            raise ConfigError("the prompt is empty: there is nothing to go on from")
        for name in ("prompt", "stop_ids", "logprob_ids"):
            if (ids := getattr(request, name)) and not (min(ids) >= 0 and max(ids) < vocabulary):
                raise ConfigError(f"{name}: there are token ids outside [0, {vocabulary})")
        if request.max_tokens < 1 or not request.seeds:
            raise ConfigError("a request is for at least one token of at least one sample")
        if not (request.sampling.temperature >= 0 and 0 < request.sampling.top_p <= 1):
            raise ConfigError(f"{request.sampling}: temperature >= 0 and 0 < top_p <= 1 are needed")
        if len(request.prompt) >= context:
            raise Overlong(
                f"the prompt takes {len(request.prompt)} tokens; {self._model.name} has room for "
                f"{context}, its answer included"
            )


def shipped(
    name: str = "policy", *, cache_bytes: int = 256 << 20, max_batch: int = 64
) -> NanoBackend:
    """A model that comes with `tts`.

    Raises:
        ConfigError: none of that name comes along; the message lists those that do.
    """
    folder = shipped_folder(name)
    return NanoBackend.load(folder, cache_bytes=cache_bytes, max_batch=max_batch)


def shipped_folder(name: str) -> Path:
    """The folder of the model that comes along as `name`.

    Raises:
        ConfigError: none of that name does; the message lists those that do.
    """
    names = [folder.parent.name for folder in SHIPPED.glob("*/config.json")]
    if name not in names:
        raise unknown("nano model", name, names)
    return SHIPPED / name
