"""Pace: how fast the policy writes, as measured on what it has written so far."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio


@dataclass(slots=True)
class Writing:
    """One call to the policy that goes on."""

    tokens: int = 0
    """Set when it is over."""


class Pace:
    """Measures calls one by one: what a single call will take, under the load there was."""

    def __init__(self) -> None:
        self._tokens = 0
        self._seconds = 0.0
        self.whole = 0
        """Calls in progress that write on to the end of an answer."""

    @contextmanager
    def timed(self, *, whole: bool = False) -> Iterator[Writing]:
        """Measure a call; `whole`: it writes on to the end of an answer."""
        writing, begin = Writing(), anyio.current_time()
        self.whole += whole
        try:
            yield writing
        finally:
            self.whole -= whole
            if writing.tokens:
                self._tokens += writing.tokens
                self._seconds += anyio.current_time() - begin

    def seconds(self, tokens: float) -> float:
        """How long one call takes for `tokens`; infinite as long as nothing is known."""
        return tokens * self._seconds / self._tokens if self._tokens else math.inf
