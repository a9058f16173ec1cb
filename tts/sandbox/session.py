"""A session: the namespace that the code blocks of one solution share, rebuilt only when needed.

GenPRM's rationales may use in a later block what an earlier one defined. Each block runs in a
process of its own; when it might see a difference, the earlier blocks are replayed silently in
that process first. A session belongs to one path from the root and one vote; `branch` begins
another one that shares its past.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tts.errors import SandboxError

from .outcome import Outcome, Status
from .replay import needed

if TYPE_CHECKING:
    from .pool import SandboxPool

_REPLAY_FACTOR = 3.0  # how much slower than the first time a replayed block may be


@dataclass(frozen=True, slots=True)
class _Block:
    code: str
    wall_seconds: float


class Session:
    """Blocks in order. A block that timed out or was killed left nothing behind."""

    def __init__(self, pool: SandboxPool, past: tuple[_Block, ...] = ()) -> None:
        self._pool = pool
        self._past = past
        self._busy = False

    def branch(self) -> Session:
        """A new session with the same past, whose future is its own."""
        return Session(self._pool, self._past)

    async def run(self, code: str, *, deadline: float | None = None) -> Outcome:
        """Run the next block. `deadline` is for this block; replaying gets time of its own."""
        if self._busy:
            raise SandboxError("a session runs one block at a time; use branch() for another path")
        self._busy = True
        try:
            past: tuple[_Block, ...] = ()
            if needed([block.code for block in self._past], code):
                past = self._past
            outcome = await self._pool.run(
                code,
                prelude=[block.code for block in past],
                deadline=deadline,
                prelude_seconds=sum(0.1 + _REPLAY_FACTOR * block.wall_seconds for block in past),
            )
            if outcome.status in (Status.OK, Status.ERROR):
                self._past = (*self._past, _Block(code, outcome.wall_seconds))
            return outcome
        finally:
            self._busy = False
