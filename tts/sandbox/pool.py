"""The pool: run model-written Python in confined processes, a few at a time, and survive all of it.

Usage: `async with SandboxPool() as pool: outcome = await pool.run("print(6 * 7)")`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup, TaskStatus

from tts.errors import ConfigError, SandboxError

from . import selftest
from .cache import Cache, Counters, key, shareable
from .config import SandboxConfig
from .forkserver import ENVIRONMENT, INHERITED, ForkServer, ZygoteDied
from .layers import Layer, exposed, judge, refuse_unless_safe
from .outcome import Outcome, Status
from .session import Session

LONGEST_SECONDS = 86_400.0
_STILLBORN = 3  # zygotes in a row that died before they served: give up
_OVERHEAD_SECONDS = 10.0  # the self-test must not fail because a machine is busy


class SandboxPool:
    """An async context manager around one zygote, which is restarted whenever it dies.

    Enter and leave it in the same task. All methods belong to that event loop. A pool costs the
    memory of one Python with its image and of a bare one, from which snippets are forked that need
    no image, and up to ten megabytes per snippet that runs.
    """

    def __init__(self, config: SandboxConfig | None = None) -> None:
        self.config = config if config is not None else SandboxConfig()
        self.counters = Counters()
        self._layers: tuple[Layer, ...] = ()
        self._exposed: tuple[str, ...] = ()
        self._fingerprint = ""
        self._server: ForkServer | None = None
        self._ready = anyio.Event()
        self._closed = True
        self._failure: SandboxError | None = None
        self._places = anyio.CapacityLimiter(self.config.workers)
        self._alone = anyio.Lock()
        self._cache = Cache(self.config.cache_entries, self.counters)
        self._stack = AsyncExitStack()
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        """Start the zygote and try to break out of it; SandboxError when the tier does not hold."""
        server = ForkServer(self.config)
        try:
            await server.start()
            self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
            self._closed = False
            await self._tasks.start(self._supervise, server)
            try:
                await self._examine(server)
            except BaseException as error:
                await self.__aexit__(type(error), error, error.__traceback__)
                raise
        except BaseException:
            await server.stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all that runs. Other tasks that still wait for a snippet get a SandboxError."""
        self._closed = True
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()
            self._tasks = None
        await self._stack.__aexit__(None, None, None)

    async def _supervise(
        self, server: ForkServer, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Keep one zygote alive."""
        try:
            while True:
                self._server = server
                self._ready.set()
                task_status.started()
                task_status = anyio.TASK_STATUS_IGNORED
                try:
                    await server.listen()
                finally:
                    self._server, self._ready = None, anyio.Event()
                    await server.stop()
                server = await self._restart()
                self.counters.restarts += 1
        except SandboxError as error:
            self._failure = error
        finally:
            self._failure = self._failure or SandboxError("the sandbox pool is closed")
            self._ready.set()

    async def _restart(self) -> ForkServer:
        attempt = 0
        while True:
            server = ForkServer(self.config)
            try:
                await server.start()
            except BaseException as error:
                await server.stop()
                attempt += 1
                if not isinstance(error, SandboxError) or attempt == _STILLBORN:
                    raise
            else:
                return server

    async def _tested(self, server: ForkServer, plain: bool) -> dict[str, str | None]:
        """What a child with the image, or a plain one, met when it tried to break out."""
        with selftest.snippet() as code:
            try:
                outcome = await server.run(code, (), _OVERHEAD_SECONDS, plain)
            except ZygoteDied as error:
                raise SandboxError(f"the sandbox died in its self-test: {error}") from error
        if outcome.status is not Status.OK:
            raise SandboxError(f"the sandbox's self-test did not end: {outcome}")
        return selftest.findings(outcome.stdout)

    async def _examine(self, server: ForkServer) -> None:
        tests = await self._tested(server, plain=False)
        for name, refusal in (await self._tested(server, plain=True)).items():
            tests[name] = refusal and tests[name]  # None where one of them came through
        layers = dict(server.report["layers"])  # type: ignore[call-overload]
        strays = set((tests.get("environment") or "").split(",")) - {*ENVIRONMENT, *INHERITED}
        strays -= {"", "LC_CTYPE"}  # Python itself sets the latter
        layers["environment"] = (not strays, " ".join(sorted(strays)))
        self._layers = judge(self.config.tier, layers, tests)
        refuse_unless_safe(self.config.tier, self._layers, tests)
        self._exposed = exposed(tests)
        self._fingerprint = json.dumps(
            [server.report["python"], server.report["modules"], asdict(self.config)], default=sorted
        )
        if self._exposed:
            warnings.warn(
                f"sandbox tier {self.config.tier!r}: model-written code can "
                f"{', '.join(self._exposed)}",
                RuntimeWarning,
                stacklevel=3,
            )

    def layers(self) -> tuple[Layer, ...]:
        """Each protection: whether this tier requires it, whether it holds, and why."""
        return self._layers

    def session(self) -> Session:
        """A namespace that persists between the code blocks of one solution."""
        return Session(self)

    async def run(
        self,
        code: str,
        *,
        prelude: Sequence[str] = (),
        deadline: float | None = None,
        prelude_seconds: float = 0.0,
    ) -> Outcome:
        """Run `code` in a fresh process, after the blocks of `prelude`, silently, in the same one.

        `deadline` is in seconds of wall time from the moment it starts, prelude included;
        `prelude_seconds` are added to it. Waits while `workers` snippets run. Cancelling ends the
        snippet. SandboxError if the pool is closed or cannot be revived.
        """
        seconds = self.config.deadline_seconds if deadline is None else deadline
        if not 0 < seconds <= LONGEST_SECONDS:
            raise ConfigError(f"a deadline must be in 0 .. {LONGEST_SECONDS} seconds: {seconds!r}")
        if self._closed:
            raise SandboxError("the sandbox pool is not open; use `async with SandboxPool(...)`")

        async def execute() -> Outcome:
            return await self._run_twice(code, prelude, seconds + prelude_seconds)

        if self.config.cache_entries and all(map(shareable, (*prelude, code))):
            limits = f"{seconds} {self._fingerprint}"
            return await self._cache.get(key(code, prelude, limits), execute)
        return await execute()

    async def _run_twice(self, code: str, prelude: Sequence[str], seconds: float) -> Outcome:
        """A snippet lost to a zygote's death is innocent until it is lost again, all alone."""
        try:
            async with self._places:
                return await self._run_once(code, prelude, seconds)
        except ZygoteDied:
            self.counters.crashed += 1
        try:
            async with self._alone, AsyncExitStack() as stack:
                for place in range(self.config.workers):
                    borrower = (self._alone, place)
                    await self._places.acquire_on_behalf_of(borrower)
                    stack.callback(self._places.release_on_behalf_of, borrower)
                return await self._run_once(code, prelude, seconds)
        except ZygoteDied as error:
            reason = str(error) or "the sandbox died while it ran, twice"
            return Outcome(Status.CRASHED, error=reason, exposed=self._exposed)

    async def _run_once(self, code: str, prelude: Sequence[str], seconds: float) -> Outcome:
        while self._server is None:
            if self._failure is not None:
                raise self._failure
            await self._ready.wait()
        self.counters.run += 1
        outcome = await self._server.run(code, prelude, seconds)
        return replace(outcome, exposed=self._exposed) if self._exposed else outcome


async def describe(config: SandboxConfig | None = None) -> tuple[Layer, ...]:
    """What this machine can offer, seen from the tier of `config`, without refusing anything.

    For `tts doctor`. Starts a zygote without its image.
    """
    wanted = config if config is not None else SandboxConfig()
    trial = SandboxPool(replace(wanted, tier="unsafe", image=(), workers=1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        async with trial as pool:
            return tuple(
                replace(row, required=row.name in _required(wanted)) for row in pool.layers()
            )


def _required(config: SandboxConfig) -> set[str]:
    return {row.name for row in judge(config.tier, {}, {}) if row.required}
