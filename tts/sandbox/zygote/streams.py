"""The standard streams of a snippet: files that go quiet when full, without an error."""

from __future__ import annotations

import io
import os
import sys

_write = os.write  # bound early: a snippet may replace what `os` holds


class CappedFile(io.RawIOBase):
    """The raw end of stdout or stderr. Drops what comes after `limit` bytes and remembers that."""

    def __init__(self, file: int, limit: int) -> None:
        self._file, self._room = file, limit
        self.dropped = False
        self.muted = False

    def write(self, data: object) -> int:
        """Accept all of `data`, keep what there is room for."""
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        size = len(view)
        if self.muted:
            return size
        if size > self._room:
            self.dropped = True
            view = view[: self._room]
        while view:
            written = _write(self._file, view)
            self._room -= written
            view = view[written:]
        return size

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """The descriptor, for code that asks."""
        return self._file


class Streams:
    """Fresh `sys.stdout` and `sys.stderr` over descriptors 1 and 2."""

    def __init__(self, limit: int) -> None:
        self.raw = (CappedFile(1, limit), CappedFile(2, limit))
        self._text = [
            io.TextIOWrapper(
                io.BufferedWriter(raw),
                encoding="utf-8",
                errors="backslashreplace",  # a lone surrogate is shown, not an error
                line_buffering=True,  # what was printed before a deadline should be there
            )
            for raw in self.raw
        ]
        sys.stdout, sys.stderr = self._text
        sys.__stdout__, sys.__stderr__ = self._text  # type: ignore[misc]

    def flush(self) -> None:
        """Push out what is buffered, also after the snippet put other objects in `sys`."""
        for text in self._text:
            try:  # noqa: SIM105 - suppress() is Python code, which a snippet can spoil
                text.flush()
            except (ValueError, OSError):  # closed, detached, full
                pass

    def mute(self, muted: bool) -> None:
        """Drop all that is written while a snippet's earlier blocks are replayed."""
        self.flush()
        for raw in self.raw:
            raw.muted = muted

    def offsets(self) -> tuple[int, int]:
        """Where the next byte would go: earlier blocks may have written past us with os.write."""
        return os.lseek(1, 0, os.SEEK_CUR), os.lseek(2, 0, os.SEEK_CUR)
