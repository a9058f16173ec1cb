"""Journal: where the facts of a search are told. The tree grows by them, and the log keeps them."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from tts.errors import Lost
from tts.events import Decided, Event, apply
from tts.tree import Tree


class Journal:
    """Where facts are told: the tree grows by them, listeners hear them, the log keeps them."""

    __slots__ = ("_listener", "_news", "cut_short", "events", "tree")

    def __init__(self, listener: Callable[[Event], None] | None = None) -> None:
        self.tree = Tree()
        self.events: list[Event] = []
        self.cut_short = False
        """Whether an answer was cut off where the budget ended."""
        self._listener = listener
        self._news: anyio.Event | None = None

    def tell(self, event: Event) -> None:
        """Let everybody know of `event`."""
        apply(event, self.tree)
        self.events.append(event)
        if self._listener is not None:
            self._listener(event)
        if self._news is not None:
            self._news.set()
            self._news = None

    def lost(self, error: Lost) -> None:
        """Let everybody know that something is asked for again."""
        self.tell(Decided("ask again", str(error)))

    async def news(self) -> None:
        """Wait for the next event."""
        if self._news is None:
            self._news = anyio.Event()
        await self._news.wait()
