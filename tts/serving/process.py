"""Process: a server with all the processes that it starts, as one group that ends together."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import anyio
from anyio.abc import Process as Leader

from tts.errors import ConfigError

_TAIL_BYTES = 4096


class ServerProcess:
    """A running command in a session of its own, so that a terminal's Ctrl-C passes it by."""

    def __init__(self, leader: Leader) -> None:
        """See `start`."""
        self._leader = leader

    @classmethod
    async def start(cls, words: Sequence[str], environment: Mapping[str, str], log: Path) -> Self:
        """Run `words`; what it prints is added to `log`.

        Args:
            words: the program and its arguments.
            environment: besides, and before, this process's own.
            log: a file in a folder that is there.

        Raises:
            ConfigError: there is no such program, or the log cannot be written.
        """
        try:
            with log.open("ab") as output:
                leader = await anyio.open_process(
                    list(words),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **environment},
                    start_new_session=True,
                )
        except OSError as error:
            raise ConfigError(f"{error.filename or words[0]}: {error.strerror}") from None
        return cls(leader)

    @property
    def pid(self) -> int:
        """Of the first process; also the number of the group."""
        return self._leader.pid

    async def ended(self) -> int:
        """Wait until the first process has ended; its exit code, negative for a signal."""
        return await self._leader.wait()

    async def stop(self, grace: float) -> None:
        """Ask the group to end, and after `grace` seconds end it. Idempotent.

        What the first process leaves behind is ended with it.
        """
        if self._leader.returncode is None:
            self._signal(signal.SIGTERM)
            with anyio.move_on_after(grace):
                await self._leader.wait()
        self.kill()
        await self._leader.aclose()

    def kill(self) -> None:
        """End the whole group now."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        # The group's number is not given to others while one of its processes lives.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._leader.pid, number)


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log; empty if there is none."""
    with suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    return ""
