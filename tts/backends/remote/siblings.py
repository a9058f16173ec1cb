"""Siblings: the first request of a prompt goes ahead, so that the others find it in the cache.

A burst of requests over a prompt that is not cached makes some engines compute it for each of them.
Here the first one goes alone until its first token is there. Prompts that are known to be cached,
because they continue what came from the engine, wait for nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import anyio

Ids = tuple[int, ...]
SHORT: Final = 16
"""A prompt of fewer tokens is not worth waiting for."""


class Siblings:
    """Which prompts one engine has seen lately."""

    def __init__(self, remembered: int = 8192) -> None:
        self._known: OrderedDict[Ids, None] = OrderedDict()
        self._leading: dict[Ids, anyio.Event] = {}
        self._remembered = remembered

    async def wait(self, prompt: Ids) -> bool:
        """Wait while somebody goes ahead with `prompt`; True if the caller should `lead` now."""
        while True:
            if len(prompt) < SHORT or prompt in self._known:
                return False
            leader = self._leading.get(prompt)
            if leader is None:
                return True
            await leader.wait()

    @contextmanager
    def lead(self, prompt: Ids) -> Iterator[Callable[[], None]]:
        """Go ahead with `prompt`; what is given is to be called at the first token."""
        arrived = self._leading[prompt] = anyio.Event()

        def begun() -> None:
            self.know(prompt)
            arrived.set()

        try:
            yield begun
        finally:
            arrived.set()  # also where it failed: somebody else goes ahead then
            if self._leading.get(prompt) is arrived:
                del self._leading[prompt]

    def know(self, ids: Ids) -> None:
        """The engine's cache holds `ids`."""
        self._known[ids] = None
        self._known.move_to_end(ids)
        while len(self._known) > self._remembered:
            self._known.popitem(last=False)

    def forget(self) -> None:
        """The engine's cache may be empty: it was away."""
        self._known.clear()
