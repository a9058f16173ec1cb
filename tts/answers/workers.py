"""The pool: a bounded number of worker processes, started when needed and killed when late.

Why processes: math-verify takes no timeout off the main thread (its timeouts are SIGALRM's, and
swallow their own failure), and sympy can compute for hours in C where no signal is served. Only a
kill ends that, and only a process can be killed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from tts.answers.equivalence import Verdict
from tts.errors import TTSError

PROGRAM: Final = Path(__file__).with_name("worker.py")

START_SECONDS: Final = 60.0
"""How long a worker may take to import math-verify: half a second on an idle machine."""

LONGEST_REPLY: Final = 65_536
"""Bytes."""

_BROKEN: Final = (
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.DelimiterNotFound,
    anyio.EndOfStream,
    anyio.IncompleteRead,
    OSError,
)


class WorkerDiedError(Exception):
    """The process ended, or wrote something that is not a reply."""


class Worker:
    """One process. One comparison at a time; after a failed or cancelled one it must be killed."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._requests = process.stdin
        self._replies = BufferedByteReceiveStream(process.stdout)

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def start(cls, *, deadline_seconds: float, memory_bytes: int) -> Worker:
        """A worker that has imported math-verify. TTSError if it cannot."""
        process = await anyio.open_process(
            [
                sys.executable,
                "-P",  # the directory of the program holds modules that are not the program's
                str(PROGRAM),
                f"--host={os.getpid()}",
                f"--memory-bytes={memory_bytes}",
                f"--deadline-seconds={deadline_seconds}",
            ],
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C at the terminal is for the host to handle
        )
        worker = cls(process)
        started = False
        try:
            with anyio.move_on_after(START_SECONDS):
                hello = await worker._receive()
                if "ready" not in hello:
                    raise TTSError(f"the answer worker did not start: {hello.get('error')}")
                started = True
                return worker
            raise TTSError(f"the answer worker did not start in {START_SECONDS:g} s")
        except WorkerDiedError as error:
            raise TTSError(
                f"the answer worker died while it started (exit status {process.returncode}); "
                f"are {memory_bytes} bytes of memory enough for it?"
            ) from error
        finally:
            if not started:
                await worker.kill()

    async def compare(self, left: str, right: str) -> tuple[Verdict, bool]:
        """The verdict on two normal forms, and whether the worker asks to be replaced."""
        request = json.dumps({"left": left, "right": right}) + "\n"
        try:
            await self._requests.send(request.encode())
        except _BROKEN as error:
            raise WorkerDiedError from error
        reply = await self._receive()
        try:
            return Verdict(reply["verdict"]), bool(reply["retire"])
        except (KeyError, ValueError) as error:
            raise WorkerDiedError from error

    async def kill(self) -> None:
        """End the process now and reap it, also while being cancelled."""
        with anyio.CancelScope(shield=True):
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.aclose()

    async def _receive(self) -> dict[str, object]:
        try:
            line = await self._replies.receive_until(b"\n", LONGEST_REPLY)
            reply = json.loads(line)
        except (*_BROKEN, ValueError) as error:
            raise WorkerDiedError from error
        if not isinstance(reply, dict):
            raise WorkerDiedError
        return reply


class WorkerPool:
    """At most `size` workers, shared by the tasks of one event loop."""

    def __init__(self, size: int, *, deadline_seconds: float, memory_bytes: int) -> None:
        self._places = anyio.Semaphore(size)
        self._deadline_seconds = deadline_seconds
        self._memory_bytes = memory_bytes
        self._idle: list[Worker] = []
        self._alive: set[Worker] = set()
        self._closed = False
        self.started = 0
        """Processes started so far."""

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the workers that are alive, in ascending order."""
        return tuple(sorted(worker.pid for worker in self._alive))

    async def compare(self, left: str, right: str) -> Verdict | None:
        """The verdict on two normal forms; None if the deadline, memory or the worker ended first.

        Waits for a free worker first; that and starting one do not count towards the deadline. A
        pair whose worker dies is tried once more on a new one.
        """
        for _ in range(2):
            async with self._places:
                try:
                    return await self._attempt(left, right)
                except WorkerDiedError:
                    continue
        return None

    async def aclose(self) -> None:
        """Kill every worker, idle or not. Comparisons that still wait raise RuntimeError."""
        self._closed = True
        self._idle.clear()
        for worker in tuple(self._alive):
            await self._discard(worker)

    async def _attempt(self, left: str, right: str) -> Verdict | None:
        worker = await self._take()
        keep = False
        try:
            with anyio.move_on_after(self._deadline_seconds):
                verdict, retire = await worker.compare(left, right)
                keep = not retire
                return None if retire and verdict is Verdict.UNKNOWN else verdict
            return None
        finally:
            if keep and not self._closed:
                self._idle.append(worker)
            else:
                await self._discard(worker)

    async def _take(self) -> Worker:
        if self._closed:
            raise RuntimeError("the answer checker is closed")
        if self._idle:
            return self._idle.pop()
        self.started += 1
        worker = await Worker.start(
            deadline_seconds=self._deadline_seconds, memory_bytes=self._memory_bytes
        )
        self._alive.add(worker)
        if self._closed:
            await self._discard(worker)
            raise RuntimeError("the answer checker is closed")
        return worker

    async def _discard(self, worker: Worker) -> None:
        self._alive.discard(worker)
        await worker.kill()
