"""The zygote's loop: fork one child per RUN, enforce deadlines, report how each one ended.

Single-threaded, and nothing in here catches exceptions broadly: a child in which a snippet made
something escape must fall through to the interpreter's end, not into this loop.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from . import wire
from .child import Errand

_PEAK_UNIT = 1 if sys.platform == "darwin" else 1024  # ru_maxrss


@dataclass(slots=True)
class _Running:
    id: int
    started: float
    deadline: float
    why: int = wire.ENDED


class Zygote:
    """Forks and reaps, until those who give orders, or the twin, are gone.

    Orders come from `control`, answers go to `engine`; what needs no image is left to `twin`.
    """

    def __init__(
        self,
        control: socket.socket,
        engine: socket.socket,
        twin: socket.socket | None,
        errand: Errand,
        fork: Callable[[], int] = os.fork,
    ) -> None:
        self._control = control
        self._engine = engine
        self._twin = twin
        self._errand = errand
        self._new_child = fork
        self._running: dict[int, _Running] = {}  # by pid
        self._poll = select.poll()
        self._bell, bell = os.pipe()
        os.set_blocking(bell, False)
        os.set_blocking(self._bell, False)
        # The handler does nothing: the byte that the C part writes to the bell is what wakes us.
        signal.signal(signal.SIGCHLD, _nothing)
        signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
        self._poll.register(self._bell, select.POLLIN)
        self._poll.register(control, select.POLLIN)
        if twin is not None:
            self._poll.register(twin, select.POLLIN)  # it says nothing, so this is its end

    def serve(self) -> None:
        """Until nobody gives orders any more."""
        while True:
            for file, _ in self._poll.poll(self._patience()):
                if file == self._bell:
                    os.read(file, 4096)
                    self._reap()
                elif file != self._control.fileno() or not self._take_order():
                    return
            self._expire()

    def _patience(self) -> float | None:
        """Milliseconds to the next deadline of a child not yet told to end; None if none is due."""
        deadlines = [run.deadline for run in self._running.values() if run.why == wire.ENDED]
        return max(0.0, min(deadlines) - time.monotonic()) * 1e3 if deadlines else None

    def _take_order(self) -> bool:
        record, files = wire.receive(self._control)
        if record is None:
            return False
        if record.kind == wire.RUN and record.why == wire.PLAIN and self._twin is not None:
            wire.send(self._twin, record, tuple(files))
            for file in files:
                os.close(file)
        elif record.kind == wire.RUN:
            self._fork(record, files)
        elif record.kind == wire.CANCEL:
            if self._twin is not None:
                wire.send(self._twin, record)
            for pid, run in self._running.items():
                if run.id == record.id:
                    self._end(pid, run, wire.CANCELLED)
        return True

    def _fork(self, record: wire.Record, files: list[int]) -> None:
        started = time.monotonic()
        pid = self._new_child()
        if pid == 0:
            self._errand.run(files, record.seconds)
        for file in files:
            os.close(file)
        self._running[pid] = _Running(record.id, started, started + record.seconds)

    def _end(self, pid: int, run: _Running, why: int) -> None:
        if run.why == wire.ENDED:
            run.why = why
            os.kill(pid, signal.SIGKILL)  # not reaped yet, so the number is still this child's

    def _expire(self) -> None:
        now = time.monotonic()
        for pid, run in self._running.items():
            if run.deadline <= now:
                self._end(pid, run, wire.OVERDUE)

    def _reap(self) -> None:
        while self._running:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            run = self._running.pop(pid, None)
            if run is None:
                continue  # an orphan that a child without a filter left to us
            done = wire.Record(
                wire.DONE,
                run.why,
                status,
                run.id,
                time.monotonic() - run.started,
                usage.ru_utime + usage.ru_stime,
                usage.ru_maxrss * _PEAK_UNIT,
            )
            wire.send(self._engine, done)


def _nothing(number: int, frame: object) -> None:
    pass
