"""Watch: servers brought up one after another, started again when they die, and ended together.

Engines measure free memory while they start, so only one starts at a time, also when one is
started again. One that dies before it has ever served is not tried again: the same command would
fail the same way.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio

from tts.backends.remote.line import Line
from tts.errors import Unavailable
from tts.serving.process import ServerProcess, tail

Tell = Callable[[str], None]


class Command(Protocol):
    """What is run; `commands.Launch` is one."""

    @property
    def name(self) -> str: ...

    @property
    def url(self) -> str: ...

    def words(self, taken: int = 0) -> list[str]:
        """The command line, while other servers hold `taken` bytes of the device."""
        ...

    def environment(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited for what; seconds but for `restarts`."""

    start: float = 900.0
    """From a server's beginning to its first service."""
    look: float = 0.5
    """Between two looks at one that starts."""
    news: float = 15.0
    """Between two lines about one that starts."""
    restarts: int = 5
    """Of one server without `calm` in between."""
    pause: float = 1.0
    """Before the first restart; doubled for each further one."""
    longest: float = 60.0
    """Of pauses."""
    calm: float = 600.0
    """Of service, after which earlier deaths are forgotten."""
    grace: float = 15.0
    """For a server to end when it is asked to."""


class Server:
    """One server, whichever process it is at the moment."""

    def __init__(self, command: Command, size: int, log: Path) -> None:
        """`size` is what it holds of the device, in bytes."""
        self.command = command
        self.size = size
        self.log = log
        self.process: ServerProcess | None = None
        self.restarts = 0

    @property
    def name(self) -> str:
        return self.command.name

    def kill(self) -> None:
        """End all its processes now."""
        if self.process is not None:
            self.process.kill()

    async def stop(self, grace: float) -> None:
        if self.process is not None:
            await self.process.stop(grace)
            self.process = None  # only now: a cancelled stop is done again


class Watch:
    """Keeps servers running for as long as `run` runs."""

    def __init__(self, servers: Sequence[Server], tell: Tell, patience: Patience) -> None:
        """`tell` is called with a line for whatever happens."""
        self.servers = tuple(servers)
        self._tell = tell
        self._patience = patience
        self._turn = anyio.Lock()

    async def run(self, ready: Callable[[], None]) -> None:
        """Bring all of them up, call `ready`, and keep them so until this is cancelled.

        However it ends, no process is left.

        Raises:
            Unavailable: one did not start, or died too often; the end of its log has been told.
            ConfigError: a command cannot be run.
        """
        try:
            async with anyio.create_task_group() as watching:
                for server in self.servers:
                    await self._begin(server)
                    watching.start_soon(self._keep, server)
                ready()
        finally:
            with anyio.CancelScope(shield=True):
                async with anyio.create_task_group() as stopping:
                    for server in self.servers:
                        stopping.start_soon(server.stop, self._patience.grace)

    async def run_until_signal(self, ready: Callable[[], None]) -> None:
        """As `run`, until Ctrl-C, SIGTERM or SIGHUP; a second one ends the servers at once.

        Raises:
            Unavailable, ConfigError: as `run`.
        """
        asked = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        with anyio.open_signal_receiver(*asked) as signals:
            async with anyio.create_task_group() as group:
                work = anyio.CancelScope()

                async def listen() -> None:
                    async for _ in signals:
                        if work.cancel_called:
                            for server in self.servers:
                                server.kill()
                        else:
                            self._tell("stopping; once more ends the servers at once")
                            work.cancel()

                group.start_soon(listen)
                with work:
                    await self.run(ready)
                group.cancel_scope.cancel()

    async def _begin(self, server: Server) -> None:
        """Start `server` and wait until it serves.

        Raises:
            Unavailable: it ended before that, or took too long.
        """
        async with self._turn:
            taken = sum(other.size for other in self.servers if other.process is not None)
            begun = anyio.current_time()
            self._tell(f"{server.name}: starting, log in {server.log}")
            with anyio.CancelScope(shield=True):  # a process that nobody knows of is never ended
                process = server.process = await ServerProcess.start(
                    server.command.words(taken), server.command.environment(), server.log
                )
            serves = False
            with anyio.move_on_after(self._patience.start):
                async with anyio.create_task_group() as group:

                    async def end() -> None:
                        await process.ended()
                        group.cancel_scope.cancel()

                    group.start_soon(end)
                    serves = await self._served(server)
                    group.cancel_scope.cancel()
            took = anyio.current_time() - begun
            if serves:
                self._tell(f"{server.name}: serves at {server.command.url} after {took:.0f} s")
                return
            why = "did not serve" if took >= self._patience.start else "ended"
            await server.stop(self._patience.grace)
            raise self._gave_up(server, f"{why} within {took:.0f} s of its start")

    async def _served(self, server: Server) -> bool:
        line = Line(server.command.url)
        begun = told = anyio.current_time()
        try:
            while not await line.answers():
                await anyio.sleep(self._patience.look)
                now = anyio.current_time()
                if now - told >= self._patience.news:
                    told = now
                    self._tell(f"{server.name}: {now - begun:.0f} s; {tail(server.log, 1)[:100]}")
            return True
        finally:
            await line.aclose()

    async def _keep(self, server: Server) -> None:
        """Start `server` again whenever it ends.

        Raises:
            Unavailable: it does so too often.
        """
        patience, deaths = self._patience, 0
        while True:
            since = anyio.current_time()
            assert server.process is not None
            code = await server.process.ended()
            await server.stop(patience.grace)  # what the first process left behind
            deaths = 1 if anyio.current_time() - since >= patience.calm else deaths + 1
            while True:
                if deaths > patience.restarts:
                    raise self._gave_up(server, f"ended {deaths} times")
                pause = min(patience.longest, patience.pause * 2 ** (deaths - 1))
                self._tell(f"{server.name}: {_how(code)}; starting again in {pause:g} s")
                await anyio.sleep(pause)
                try:
                    await self._begin(server)
                except Unavailable:
                    deaths += 1
                    continue
                server.restarts += 1
                break

    def _gave_up(self, server: Server, why: str) -> Unavailable:
        self._tell(f"{server.name}: the end of {server.log}:\n{tail(server.log)}")
        return Unavailable(f"the server of the {server.name} {why}: see {server.log}")


def _how(code: int) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
