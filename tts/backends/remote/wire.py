"""Wire: what has to be known of one kind of engine to talk to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tts.backends.base import Request
from tts.backends.remote.bill import Bill
from tts.backends.remote.reading import Raw


@dataclass(frozen=True, slots=True)
class Told:
    """What a server says of itself."""

    served: str
    """What it calls its model."""
    model: str
    """Where it has it from: a folder on its machine, or a name on the Hub."""
    context_tokens: int
    cache_tokens: int | None
    version: str


class Wire(Protocol):
    """One kind of engine, spoken to over one line."""

    gathers: bool
    """Whether the first of several requests for a prompt must go ahead: see `siblings`."""

    async def tell(self) -> Told:
        """Ask the server what it serves.

        Raises:
            Unavailable, BadReply: it cannot be reached, or is of another kind.
        """
        ...

    async def text_of(self, ids: Sequence[int]) -> str | None:
        """What `ids` are to the server; None if it does not tell."""
        ...

    async def prove(self, ids: Sequence[int]) -> None:
        """See with one-token requests that the server does what searches rely on.

        Raises:
            ConfigError: it does not; says how to start it so that it does.
        """
        ...

    async def ask(self, request: Request, bill: Bill, begun: Callable[[], None] | None) -> Raw:
        """Have `request`, which is for one sample, served; book it on `bill`, also when cancelled.

        `begun`, if given, is called as soon as the prompt is in the engine's cache.

        Raises:
            BackendError: as `Backend.generate`.
        """
        ...

    async def answers(self) -> bool:
        """Whether the server is there now."""
        ...

    async def aclose(self) -> None:
        """Give up all connections. Idempotent."""
        ...
