"""What engine and zygote say to each other: records of one fixed size, files passed beside them.

A snippet's text and output travel in anonymous files whose descriptors are handed over. The zygote
passes them on to the child unread, so that nothing a model wrote ever enters the memory from which
later children are forked.

    engine -> zygote   RUN(id, seconds) + [request, stdout, stderr, result]     CANCEL(id)
    zygote -> twin     the same, of a RUN that says that it needs no image
    zygote -> engine   READY     DONE(id, why, wait status, cpu s, wall s, peak bytes)
"""

from __future__ import annotations

import array
import os
import socket
import struct
import sys
from collections.abc import Sequence
from typing import NamedTuple

READY, RUN, CANCEL, DONE = 1, 2, 3, 4
ENDED, OVERDUE, CANCELLED = 0, 1, 2  # why a child is gone: by itself, at its deadline, on request
WITH_IMAGE, PLAIN = 0, 1  # what a RUN is to be forked from

_RECORD = struct.Struct("<BBxxiQddQ")
FILES_PER_RUN = 4
_ROOM = socket.CMSG_SPACE(FILES_PER_RUN * array.array("i").itemsize)

# The child's last words, written at offset 0 of its result file: verdict, did we drop output, and
# where the output of the snippet itself begins in stdout and stderr; then the error as UTF-8.
VERDICT = struct.Struct("<c?xxII")
FINE, RAISED, UNCONFINED = b"F", b"R", b"U"  # the last: could not confine itself, ran nothing


# A request: how many texts, the size of each, the texts: blocks to replay, then the snippet.
_SIZE = struct.Struct("<I")
_TEXT = ("utf-8", "surrogatepass")  # what a model wrote may hold lone surrogates


def pack_texts(texts: Sequence[str]) -> bytes:
    """The content of a request file."""
    parts = [text.encode(*_TEXT) for text in texts]
    return b"".join([_SIZE.pack(len(parts)), *(_SIZE.pack(len(part)) for part in parts), *parts])


def unpack_texts(data: bytes) -> list[str]:
    """What `pack_texts` was given."""
    (count,) = _SIZE.unpack_from(data)
    end = _SIZE.size * (1 + count)
    texts = []
    for place in range(_SIZE.size, end, _SIZE.size):
        start, end = end, end + _SIZE.unpack_from(data, place)[0]
        texts.append(data[start:end].decode(*_TEXT))
    return texts


class Record(NamedTuple):
    """One message. Fields that a kind does not use are zero."""

    kind: int
    why: int = ENDED  # DONE; of a RUN: what it is to be forked from
    status: int = 0  # as of wait(2)
    id: int = 0
    seconds: float = 0.0  # RUN: wall time allowed; DONE: wall time used
    cpu_seconds: float = 0.0
    peak_bytes: int = 0


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends that keep records whole: SEQPACKET where the system has it (not macOS)."""
    kind = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_STREAM
    return socket.socketpair(socket.AF_UNIX, kind)


def send(end: socket.socket, record: Record, files: tuple[int, ...] = ()) -> None:
    """Send one record; the receiver gets copies of `files`. May raise BlockingIOError, OSError."""
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
    end.sendmsg([_RECORD.pack(*record)], ancillary)


def receive(end: socket.socket) -> tuple[Record | None, list[int]]:
    """The next record and the descriptors that came with it, which the caller now owns.

    The record is None when the other end is gone. On a non-blocking socket with nothing to read
    raises BlockingIOError.
    """
    files = array.array("i")
    data, ancillary, _, _ = end.recvmsg(_RECORD.size, _ROOM)
    for level, kind, payload in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            files.frombytes(payload[: len(payload) - len(payload) % files.itemsize])
    if len(data) != _RECORD.size:
        for file in files:
            os.close(file)
        return None, []
    return Record(*_RECORD.unpack(data)), list(files)
