"""Sandbox: model-written code in the processes of `tts.sandbox`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Self

from tts.errors import SandboxError
from tts.sandbox.config import SandboxConfig
from tts.sandbox.outcome import Outcome
from tts.sandbox.pool import SandboxPool
from tts.sandbox.replay import needed

AS_TRAINED: Final = SandboxConfig(module_name="builtins")
"""As where the released models' critiques were written: the bodies of main guards do not run."""


class SandboxRunner:
    """A `CodeRunner`. An async context manager, entered and closed in the same task."""

    def __init__(self, config: SandboxConfig = AS_TRAINED) -> None:
        self._config = config
        self._pool: SandboxPool | None = None

    @property
    def limit_seconds(self) -> float:
        """One deadline for the block, one for all that is replayed before it."""
        return 2 * self._config.deadline_seconds

    async def __aenter__(self) -> Self:
        """Start the processes. SandboxError where code cannot be confined as the tier requires."""
        if self._pool is None:
            self._pool = await SandboxPool(self._config).__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def run(self, code: str, prelude: Sequence[str]) -> Outcome:
        if self._pool is None:
            raise SandboxError("the code runner is not open: use `async with` on its verifier")
        replayed = prelude if needed(prelude, code) else ()
        return await self._pool.run(
            code,
            prelude=replayed,
            prelude_seconds=self._config.deadline_seconds if replayed else 0.0,
        )

    async def aclose(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.__aexit__(None, None, None)
