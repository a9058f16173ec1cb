"""Siblings: the first request of a prompt goes ahead, so that the others find it in the cache.

A burst of requests over a prompt that is not cached makes some engines compute it for each of them.
Here the first one goes alone until its first token is there. Prompts that are known to be cached,
because they continue what came from the engine, wait for nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import anyio

SHORT: Final = 16
"""A prompt of fewer tokens is not worth waiting for."""


class Siblings:
    """Which prompts one engine has seen lately, by their hashes: a mistake costs only time."""

    def __init__(self, remembered: int = 1 << 15) -> None:
        self._known: OrderedDict[int, None] = OrderedDict()
        self._leading: dict[int, anyio.Event] = {}
        self._remembered = remembered

    @asynccontextmanager
    async def ahead(self, prompt: Sequence[int]) -> AsyncIterator[Callable[[], None] | None]:
        """Wait while somebody else goes ahead with `prompt`.

        Who goes ahead is given what to call at the first token; the others, None.
        """
        key = hash(prompt)
        while len(prompt) >= SHORT and key not in self._known:
            leader = self._leading.get(key)
            if leader is None:
                with self._lead(key) as begun:
                    yield begun
                return
            await leader.wait()
        yield None

    def know(self, ids: Sequence[int]) -> None:
        """The engine's cache holds `ids`, a tuple."""
        self._remember(hash(ids))

    def forget(self) -> None:
        """The engine's cache may be empty: it was away."""
        self._known.clear()

    @contextmanager
    def _lead(self, key: int) -> Iterator[Callable[[], None]]:
        arrived = self._leading[key] = anyio.Event()

        def begun() -> None:
            self._remember(key)
            arrived.set()

        try:
            yield begun
        finally:
            arrived.set()  # also where it failed: somebody else goes ahead then
            del self._leading[key]

    def _remember(self, key: int) -> None:
        self._known[key] = None
        self._known.move_to_end(key)
        if len(self._known) > self._remembered:
            self._known.popitem(last=False)
