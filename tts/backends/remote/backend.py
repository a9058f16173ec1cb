"""Backend: one engine behind HTTP as `tts` sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import anyio

from tts.backends.base import Generation, ModelInfo, Request, Sample
from tts.backends.checks import check
from tts.backends.remote.admission import Admission
from tts.backends.remote.bill import Bill
from tts.backends.remote.facts import Model
from tts.backends.remote.reading import Raw, sample_of
from tts.backends.remote.siblings import Siblings
from tts.backends.remote.wire import Wire
from tts.backends.tokenizer import FolderTokenizer
from tts.budget.meter import Meter
from tts.errors import BadReply, TTSError, Unavailable, leaves
from tts.types import FREE


class RemoteBackend:
    """Implements `tts.backends.base.Backend`. Serves any number of requests at once.

    The samples of one request are asked for one by one, so that each has its own seed and can be
    aborted by its own id; they share the prompt in the engine's cache.
    """

    def __init__(self, wire: Wire, model: Model, admission: Admission) -> None:
        """See `opening` for one from a spec."""
        self._wire = wire
        self._model = model
        self._admission = admission
        self._siblings = Siblings() if wire.gathers else None
        self._closed = False

    @property
    def model(self) -> ModelInfo:
        return self._model.info

    @property
    def tokenizer(self) -> FolderTokenizer:
        return self._model.tokenizer

    @property
    def load(self) -> int:
        """Samples that the engine is asked for, or will be when it has room."""
        return self._admission.in_flight + self._admission.waiting

    @property
    def about(self) -> str:
        """What serves the model."""
        return self._model.version

    async def answers(self) -> bool:
        """Whether the server is there now."""
        return await self._wire.answers()

    async def generate(self, request: Request, meter: Meter) -> Generation:
        """Serve `request`; its cost is booked on `meter`, also when it is cancelled.

        It is booked exactly where the engine tells it, else at its bound.

        Raises:
            ConfigError: the request asks for something that makes no sense.
            Overlong: the prompt leaves no room for one token in the context window.
            Unavailable: the engine is gone, or closed.
            BadReply: the engine's answer makes no sense.
        """
        if self._closed:
            raise Unavailable(f"{self.model.name}: closed")
        fitting = self._fitting(request)
        bill = Bill(fitting)
        samples: dict[int, Sample] = {}

        async def one(index: int) -> None:
            samples[index] = await self._sample(
                replace(fitting, seeds=(fitting.seeds[index],)), bill
            )

        with meter.call(request.bound) as reading:
            reading.cost = FREE
            try:
                if len(fitting.seeds) == 1:
                    await one(0)
                else:
                    async with anyio.create_task_group() as group:
                        for index in range(len(fitting.seeds)):
                            group.start_soon(one, index)
            except* TTSError as errors:
                raise leaves(errors)[0] from None
            finally:
                reading.cost = bill.cost
        return Generation(tuple(samples[n] for n in range(len(samples))), reading.cost)

    async def aclose(self) -> None:
        self._closed = True
        await self._wire.aclose()

    async def _sample(self, request: Request, bill: Bill) -> Sample:
        """One sample, as soon as the engine has room for it."""
        if self._siblings is None:
            raw = await self._asked(request, bill, None)
        else:
            async with self._siblings.ahead(request.prompt) as begun:
                raw = await self._asked(request, bill, begun)
            self._siblings.know(request.prompt + raw.token_ids)
        try:
            return sample_of(raw, request, self._model.tokenizer)
        except BadReply as error:
            raise BadReply(f"{self.model.name}: {error}") from None

    async def _asked(self, request: Request, bill: Bill, begun: Callable[[], None] | None) -> Raw:
        # Its own tokens count against the cache; its prompt is shared, or soon will be.
        async with self._admission.slot(request.priority, request.max_tokens):
            try:
                return await self._wire.ask(request, bill, begun)
            except Unavailable:
                if self._siblings is not None:
                    self._siblings.forget()
                raise

    def _fitting(self, request: Request) -> Request:
        """`request` as the context window allows it, after a look at everything in it."""
        check(request, self.model, self._model.vocabulary)
        room = self.model.context_tokens - len(request.prompt)
        return request if request.max_tokens <= room else replace(request, max_tokens=room)
