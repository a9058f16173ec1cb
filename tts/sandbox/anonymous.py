"""Files without a name, in memory where the system can: how text reaches a child and returns."""

from __future__ import annotations

import os
import sys
import tempfile


def create(content: bytes | None = None) -> int:
    """A new file's descriptor, which the caller owns. With `content` it cannot be changed again."""
    if sys.platform != "linux":
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
        if content is not None:
            _write_all(descriptor, content)
        return descriptor
    flags = os.MFD_CLOEXEC | (os.MFD_ALLOW_SEALING if content is not None else 0)
    descriptor = os.memfd_create("tts", flags)
    if content is not None:
        _write_all(descriptor, content)
        _seal(descriptor)
    return descriptor


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _seal(descriptor: int) -> None:
    import fcntl

    add, everything = 1033, 1 | 2 | 4 | 8  # F_ADD_SEALS: SEAL SHRINK GROW WRITE
    fcntl.fcntl(descriptor, add, everything)


def contents(descriptor: int, limit: int, start: int = 0) -> tuple[bytes, bool]:
    """At most `limit` bytes of a file from `start` on, and whether there are more.

    Never asks for more than `limit`: the file's size and `start` may be a snippet's invention.
    """
    chunks: list[bytes] = []
    missing = limit + 1
    while missing and (chunk := os.pread(descriptor, missing, start)):
        chunks.append(chunk)
        start += len(chunk)
        missing -= len(chunk)
    data = b"".join(chunks)
    return data[:limit], len(data) > limit
