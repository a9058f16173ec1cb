"""Siblings: the first of several requests that begin alike goes ahead; the others find it cached.

A burst of requests over a prefix that is not cached makes some engines compute it for each of them.
Here the first one goes alone until its first token is there: siblings with the same prompt wait for
it, and so do cousins whose prompts begin alike (steps of one problem put before a verifier), as far
as that is more than is known to be cached. Who goes on from what came from the engine waits for
nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import anyio

SHORT: Final = 16
"""A prompt of fewer tokens is not worth waiting for."""
CHUNK: Final = 32
"""Tokens by which beginnings are compared."""


class Siblings:
    """What one engine has seen lately, by hashes of beginnings: a mistake costs only time."""

    def __init__(self, remembered: int = 1 << 17) -> None:
        self._known: OrderedDict[int, None] = OrderedDict()
        self._leading: dict[int, anyio.Event] = {}
        self._remembered = remembered

    @asynccontextmanager
    async def ahead(self, prompt: Sequence[int]) -> AsyncIterator[Callable[[], None] | None]:
        """Wait while somebody else goes ahead with `prompt`, or with more of its beginning.

        Who goes ahead is given what to call at the first token; the others, None.
        """
        marks = _marks(prompt) if len(prompt) >= SHORT else []
        while new := [mark for mark in marks if mark not in self._known]:
            leader = self._leading.get(new[0])
            if leader is None:
                with self._lead(new) as begun:
                    yield begun
                return
            await leader.wait()
        yield None

    def know(self, ids: Sequence[int]) -> None:
        """The engine's cache holds `ids`, a tuple."""
        self._remember(_marks(ids))

    def forget(self) -> None:
        """The engine's cache may be empty: it was away."""
        self._known.clear()

    @contextmanager
    def _lead(self, marks: list[int]) -> Iterator[Callable[[], None]]:
        arrived = anyio.Event()
        for mark in marks:
            self._leading[mark] = arrived

        def over() -> None:
            arrived.set()
            for mark in marks:
                if self._leading.get(mark) is arrived:
                    del self._leading[mark]

        def begun() -> None:
            self._remember(marks)
            over()

        try:
            yield begun
        finally:
            over()  # also where it failed: somebody else goes ahead then

    def _remember(self, marks: list[int]) -> None:
        for mark in marks:
            self._known[mark] = None
            self._known.move_to_end(mark)
        while len(self._known) > self._remembered:
            self._known.popitem(last=False)


def _marks(ids: Sequence[int]) -> list[int]:
    """Hashes of the beginnings of `ids`, a tuple, by chunks, the shortest first; then of all."""
    marks: list[int] = []
    mark = 0
    for end in range(CHUNK, len(ids), CHUNK):
        mark = hash((mark, ids[end - CHUNK : end]))
        marks.append(mark)
    return [*marks, hash(ids)]
