"""Outage: since when a server has been away, as all who ask it have noticed together.

So that what waits for the same server loses its patience once, and not one after the other.
"""

from __future__ import annotations

import math
from typing import Final

import anyio

APART_SECONDS: Final = 15.0
"""Who finds a server away so long after the last one did has found another outage."""


class Outage:
    """Of one server; there is none until it is noticed."""

    def __init__(self) -> None:
        self._since = -math.inf
        self._noticed = -math.inf

    def notice(self) -> float:
        """The server is away now. Since when it has been, by the loop's clock, in seconds."""
        now = anyio.current_time()
        if now - self._noticed > APART_SECONDS:
            self._since = now
        self._noticed = now
        return self._since

    def end(self) -> None:
        """The server is there."""
        self._since = self._noticed = -math.inf
