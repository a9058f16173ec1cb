"""Landlock: which files this process may read, and that it may touch nothing else.

Two domains are stacked. The zygote's allows reading library folders and nothing more, for itself
and all its children. Each child then enters one of its own that keeps its signals and abstract
sockets inside, which makes siblings unreachable (kernel 6.12, ABI 6; a second lock where seccomp
already holds).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from collections.abc import Callable, Iterable

from . import kernel

_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_ALL_NETWORK, _ALL_SCOPES = 3, 3
SCOPE_SINCE = 6
_OUT_OF_THE_WAY = 16


def abi() -> int:
    """The version of Landlock in this kernel, 0 if none."""
    try:
        return kernel.syscall("landlock_create_ruleset", 0, 0, 1)
    except OSError:
        return 0


def _file_rights(version: int) -> int:
    """All file rights that this version can withhold: 13, then REFER, TRUNCATE, IOCTL_DEV."""
    return (1 << 13 + (version >= 2) + (version >= 3) + (version >= 5)) - 1


def _ruleset(files: int, network: int, scopes: int, version: int) -> int:
    size = 8 if version < 4 else 16 if version < SCOPE_SINCE else 24
    rules = ctypes.create_string_buffer(struct.pack("<QQQ", files, network, scopes), 24)
    return kernel.syscall("landlock_create_ruleset", ctypes.addressof(rules), size)


def read_only(paths: Iterable[str], listed: Iterable[str], version: int) -> None:
    """Allow reading `paths`, with all below them, and the names of what is below `listed`.

    Every other file access is refused, and TCP.
    """
    ruleset = _ruleset(
        _file_rights(version),
        _ALL_NETWORK if version >= 4 else 0,
        _ALL_SCOPES if version >= SCOPE_SINCE else 0,
        version,
    )
    wanted = [(path, _READ_FILE | (_READ_DIR if os.path.isdir(path) else 0)) for path in paths]
    for path, rights in (*wanted, *((path, _READ_DIR) for path in listed)):
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # a library folder that this system does not have
        rule = ctypes.create_string_buffer(struct.pack("<Qi", rights, place), 12)
        kernel.syscall("landlock_add_rule", ruleset, 1, ctypes.addressof(rule), 0)
        os.close(place)
    kernel.syscall("landlock_restrict_self", ruleset, 0)
    os.close(ruleset)


def scope(version: int) -> int:
    """A ruleset, as a descriptor, that keeps signals and abstract sockets inside.

    Every process that enters it gets a domain of its own. The number is out of the way of those
    that a child puts its streams on.
    """
    ruleset = _ruleset(0, 0, _ALL_SCOPES, version)
    moved = fcntl.fcntl(ruleset, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY)
    os.close(ruleset)
    return moved


def prepared(ruleset: int) -> Callable[[], int]:
    """The call that binds a process by `ruleset`, for good; see `kernel.prepared`."""
    return kernel.prepared("landlock_restrict_self", ruleset, 0)
