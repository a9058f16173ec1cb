"""Admission: how many requests an engine is given at a time, the deepest work first.

The limit follows the engine: it halves when the engine is too busy or does not answer in time, and
grows by one for each limit's worth of requests that went well (additive increase, multiplicative
decrease; Chiu and Jain 1989). Where the size of the engine's cache is known, no more is admitted
than fits into it, since an engine that is out of memory throws away what it has begun.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import anyio

from tts.errors import ConfigError


class Admission:
    """Slots of one engine."""

    def __init__(self, most: int, tokens: int | None = None) -> None:
        """
        Args:
            most: requests at a time to begin with, and the most ever; >= 1.
            tokens: that the engine's cache holds; None if unknown.

        Raises:
            ConfigError: `most` is below 1.
        """
        if most < 1:
            raise ConfigError(f"at_once={most} must be at least 1")
        self._most = most
        self._limit = float(most)
        self._tokens = math.inf if tokens is None else tokens
        self._held = 0
        self._in_flight = 0
        self._waiting: list[tuple[int, int, int, anyio.Event]] = []
        self._arrivals = count()
        self._shrunk_at = -1  # arrivals when it last shrank: one burst of refusals counts once

    @property
    def limit(self) -> int:
        """Requests that may be in flight now."""
        return int(self._limit)

    @property
    def in_flight(self) -> int:
        """Requests that are."""
        return self._in_flight

    @property
    def waiting(self) -> int:
        """Requests that wait for a slot."""
        return len(self._waiting)

    @asynccontextmanager
    async def slot(self, priority: int, tokens: int) -> AsyncIterator[None]:
        """Wait for a slot; the request may come to hold `tokens` of cache."""
        if self._waiting or not self._fits(tokens):
            await self._wait(priority, tokens)
        else:
            self._take(tokens)
        try:
            yield
        except BaseException:
            self._leave(tokens)
            raise
        self._limit = min(self._most, self._limit + 1 / self._limit)
        self._leave(tokens)

    def shrink(self) -> None:
        """The engine has more than it can do."""
        if self._shrunk_at < 0:
            self._limit = max(1.0, min(self._limit, self._in_flight) / 2)
            self._shrunk_at = self._in_flight

    def _leave(self, tokens: int) -> None:
        self._in_flight -= 1
        self._held -= tokens
        if self._shrunk_at > 0:
            self._shrunk_at -= 1
        if self._shrunk_at == 0:
            self._shrunk_at = -1  # all that was in flight then has ended: a new judgement
        self._serve()

    async def _wait(self, priority: int, tokens: int) -> None:
        turn = anyio.Event()
        entry = (-priority, next(self._arrivals), tokens, turn)
        heapq.heappush(self._waiting, entry)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self._leave(tokens)
            else:
                self._waiting.remove(entry)
                heapq.heapify(self._waiting)
                self._serve()
            raise

    def _fits(self, tokens: int) -> bool:
        # One that is larger than the cache by our coarse count is let in when it is alone.
        room = self._held + tokens <= self._tokens or self._in_flight == 0
        return self._in_flight < int(self._limit) and room

    def _take(self, tokens: int) -> None:
        self._in_flight += 1
        self._held += tokens

    def _serve(self) -> None:
        while self._waiting and self._fits(self._waiting[0][2]):
            _, _, tokens, turn = heapq.heappop(self._waiting)
            self._take(tokens)
            turn.set()
