"""Thin typed calls into libc for what the standard library does not offer. Linux only."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from collections.abc import Callable
from functools import partial

from . import syscalls

MACHINE = {"arm64": "aarch64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine())
# A 32-bit interpreter on a 64-bit kernel uses another table, so it counts as an unknown machine.
KNOWN = sys.platform == "linux" and MACHINE in syscalls.MACHINES and sys.maxsize > 2**32

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP = 1, 4, 24
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4

if KNOWN:
    _libc = ctypes.CDLL(None, use_errno=True)
    _libc.syscall.restype = _libc.prctl.restype = ctypes.c_long
    _libc.syscall.argtypes = [ctypes.c_long] * 7
    _libc.prctl.argtypes = [ctypes.c_long] * 5
    _libc.mount.argtypes = [ctypes.c_char_p] * 3 + [ctypes.c_ulong, ctypes.c_char_p]
    _libc_fork = ctypes.PyDLL(None, use_errno=True).fork  # keeps the interpreter's lock


def checked(result: int, what: str) -> int:
    """The result of a call into libc, unless it is negative: then the OSError it stands for."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def _need_linux(what: str) -> None:
    if not KNOWN:
        raise OSError(errno.ENOSYS, f"{what}: no {sys.platform} {MACHINE} support")


def fork() -> int:
    """As os.fork(), of a process with one thread that goes on as it is, where that is known safe.

    os.fork() then lets the interpreter repair locks, drop threads and reseed `random` in the child,
    of which nothing is needed here, and which costs a third of a small snippet: it writes to pages
    all over the heap, each of which the kernel has to copy.
    """
    return checked(_libc_fork(), "fork") if KNOWN else os.fork()


def prepared(name: str, *arguments: int) -> Callable[[], int]:
    """The call `name` with all its arguments bound, negative when it fails: see `checked`.

    For a child, in which each line of Python makes the kernel copy pages.
    """
    _need_linux(name)
    number = syscalls.number(name, MACHINE)
    if number is None:
        raise OSError(errno.ENOSYS, f"{name}: not on {MACHINE}")
    return partial(_libc.syscall, number, *arguments, *(0,) * (6 - len(arguments)))


def syscall(name: str, *arguments: int) -> int:
    """Call `name` by number with up to six integers or addresses; OSError when it fails."""
    return checked(prepared(name, *arguments)(), name)


def _prctl(what: str, option: int, *arguments: int) -> None:
    _need_linux(what)
    padded = (*arguments, *(0,) * (4 - len(arguments)))
    checked(_libc.prctl(option, *padded), what)


def no_new_privileges() -> None:
    """From here on no exec gains rights; also what lets an ordinary user install a filter."""
    _prctl("no_new_privs", _PR_SET_NO_NEW_PRIVS, 1)


def dumpable(allowed: bool) -> None:
    """Whether others of this uid may ptrace this process or look into its /proc entry."""
    _prctl("dumpable", _PR_SET_DUMPABLE, int(allowed))


def die_with_parent(parent: int, signal: int) -> None:
    """Be sent `signal` when the thread that forked us ends; exits at once if it already has.

    The kernel forgets this on a change of uid, so call it after one.
    """
    checked(prepared_parent_death(signal)(), "parent_death_signal")
    if os.getppid() != parent:
        os._exit(0)


def prepared_parent_death(signal: int) -> Callable[[], int]:
    """The call by which a process asks for `signal` when its parent ends, as `prepared`."""
    _need_linux("parent_death_signal")
    return partial(_libc.prctl, _PR_SET_PDEATHSIG, signal, 0, 0, 0)


def drop_capabilities() -> None:
    """Empty all capability sets, the bounding set included: uid 0 becomes an ordinary name."""
    _need_linux("capset")
    for capability in range(64):
        try:
            _prctl("capbset_drop", _PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno == errno.EINVAL:  # past the last capability this kernel has
                break
            if error.errno != errno.EPERM:  # an ordinary user cannot, and has none to drop
                raise
    _prctl("cap_ambient", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = ctypes.create_string_buffer(b"\x22\x05\x08\x20" + bytes(4), 8)  # version 3, self
    nothing = ctypes.create_string_buffer(24)
    syscall("capset", ctypes.addressof(header), ctypes.addressof(nothing))


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags` for new ones."""
    _need_linux("unshare")
    checked(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    """Mount a file system of `kind`."""
    _need_linux("mount")
    kind_bytes = kind.encode() if kind is not None else None
    arguments = (source.encode(), os.fsencode(target), kind_bytes, flags, data.encode())
    checked(_libc.mount(*arguments), f"mount {target}")
