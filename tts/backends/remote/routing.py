"""Routing: several copies of one engine as one, each prefix to the copy that has it cached.

A request goes to the copy that served most of its prompt before, if that is at least half of it;
else to the one that the prompt is drawn to by rendezvous hashing (Thaler and Ravishankar 1998), so
that a burst of siblings meets in one place without anybody having to remember it. A copy that has
far more to do than the least busy one is passed over. One that cannot be reached is left out until
it answers again; what it had not begun goes elsewhere.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final, Protocol

import anyio

from tts.backends.base import Backend, Generation, ModelInfo, Request, Tokenizer
from tts.backends.remote.refusal import Unbegun
from tts.budget.meter import Meter
from tts.errors import ConfigError, Unavailable
from tts.types import FREE

CHUNK: Final = 16
"""Tokens by which prefixes are compared."""
_REMEMBERED: Final = 1 << 16
_AWAY_SECONDS: Final = (0.5, 30.0)  # the first time out, and the longest


class Copy(Backend, Protocol):
    """A backend of which one can ask how it is."""

    @property
    def load(self) -> int:
        """Requests in flight or waiting."""
        ...

    async def answers(self) -> bool:
        """Whether its server is there now."""
        ...


@dataclass(eq=False, slots=True)
class _Place:
    copy: Copy
    name: str
    away_until: float = -math.inf
    times: int = 0
    """How often in a row it could not be reached."""

    def leave_out(self) -> None:
        """It could not be reached; heard of again while it is left out, that is the same outage."""
        now, (first, longest) = anyio.current_time(), _AWAY_SECONDS
        if now >= self.away_until:
            self.away_until = now + min(first * 2 ** min(self.times, 10), longest)
            self.times += 1

    def take_back(self) -> None:
        self.away_until, self.times = -math.inf, 0


class Several:
    """Implements `tts.backends.base.Backend` over copies of one model."""

    def __init__(self, copies: Sequence[tuple[str, Copy]], *, patience: float) -> None:
        """
        Args:
            copies: each with its address.
            patience: seconds for which all of them may be away before a request fails.

        Raises:
            ConfigError: they do not serve the same model.
        """
        self._places = [_Place(copy, name) for name, copy in copies]
        self._patience = patience
        self._seen: OrderedDict[int, _Place] = OrderedDict()
        self._closed = False
        models = [copy.model for _, copy in copies]
        for (name, _), model in zip(copies, models, strict=True):
            if _identity(model) != _identity(models[0]):
                raise ConfigError(f"{copies[0][0]} and {name} do not serve the same model")
        caches = [model.cache_tokens for model in models]
        self._model = replace(
            models[0],
            context_tokens=min(model.context_tokens for model in models),
            cache_tokens=None if None in caches else sum(filter(None, caches)),
        )

    @property
    def model(self) -> ModelInfo:
        return self._model

    @property
    def tokenizer(self) -> Tokenizer:
        return self._places[0].copy.tokenizer

    @property
    def about(self) -> str:
        """Where it is."""
        return " and ".join(place.name for place in self._places)

    async def generate(self, request: Request, meter: Meter) -> Generation:
        """Serve `request` at one of the copies; at another one if the first had not begun it.

        Raises:
            Overlong, Unavailable, BadReply: as of one.
        """
        end = anyio.current_time() + self._patience
        prefixes = list(_fingerprints(request.prompt))
        while True:
            place = self._route(request.prompt, prefixes, await self._present(end))
            own = Meter()
            try:
                generation = await place.copy.generate(request, own)
            except Unavailable as error:
                place.leave_out()
                if own.cost != FREE or not isinstance(error, Unbegun) or self._closed:
                    raise
                continue
            finally:
                meter.add(own)
            place.take_back()
            for sample in generation.samples:
                self._remember(request.prompt + sample.token_ids, place)
            return generation

    async def aclose(self) -> None:
        self._closed = True
        for place in self._places:
            await place.copy.aclose()

    async def _present(self, end: float) -> list[_Place]:
        """The copies that are there; waits for one until `end`.

        Raises:
            Unavailable: none came back.
        """
        while True:
            now = anyio.current_time()
            for place in self._places:
                if place.times and place.away_until <= now:
                    place.leave_out()  # meanwhile nobody else asks
                    if await place.copy.answers():
                        place.take_back()
            present = [place for place in self._places if not place.times]
            if present:
                return present
            if anyio.current_time() >= end:
                raise Unavailable(f"{self.about}: none of them can be reached")
            await anyio.sleep(0.1)

    def _route(
        self, prompt: tuple[int, ...], prefixes: Sequence[int], present: Sequence[_Place]
    ) -> _Place:
        least = min(present, key=lambda place: place.copy.load)
        chosen = self._holder(prefixes, len(prompt))
        if chosen is None or chosen not in present:
            chosen = max(present, key=_pull_of(prompt))
        # Half as much again, and a few: below that a shared prefix is worth more than even loads.
        return least if chosen.copy.load > 1.5 * least.copy.load + 8 else chosen

    def _holder(self, prefixes: Sequence[int], tokens: int) -> _Place | None:
        """Who served the longest known prefix, if it is at least half of the prompt."""
        for index in range(len(prefixes) - 1, -1, -1):
            if (index + 1) * CHUNK * 2 < tokens:
                return None
            if (place := self._seen.get(prefixes[index])) is not None:
                return place
        return None

    def _remember(self, ids: tuple[int, ...], place: _Place) -> None:
        for fingerprint in _fingerprints(ids):
            self._seen[fingerprint] = place
            self._seen.move_to_end(fingerprint)
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)


def _fingerprints(ids: tuple[int, ...]) -> Iterator[int]:
    """One for each prefix that is a multiple of `CHUNK` long, the shortest first."""
    fingerprint = 0
    for start in range(0, len(ids) - CHUNK + 1, CHUNK):
        fingerprint = hash((fingerprint, ids[start : start + CHUNK]))
        yield fingerprint


def _pull_of(prompt: tuple[int, ...]) -> Callable[[_Place], int]:
    """How strongly each place draws `prompt`: the same in every process."""
    key = blake2b(str(prompt).encode(), digest_size=16).digest()

    def pull(place: _Place) -> int:
        drawn = blake2b(place.name.encode(), key=key, digest_size=8)
        return int.from_bytes(drawn.digest(), "big")

    return pull


def _identity(model: ModelInfo) -> tuple[object, ...]:
    return (model.parameters, model.eos_ids, model.dialect, model.sampling)
