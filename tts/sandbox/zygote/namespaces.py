"""Namespaces, where the system grants them: no network, no foreign processes, no foreign files.

A second wall behind Landlock and seccomp, never the only one: containers and some distributions
refuse them to ordinary users.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable

from . import kernel

_USER, _PID, _NETWORK, _IPC, _UTS, _MOUNT, _CGROUP = (
    0x10000000,
    0x20000000,
    0x40000000,
    0x08000000,
    0x04000000,
    0x00020000,
    0x02000000,
)
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 1, 2, 4, 8, 16384, 1 << 18
HIDDEN = """
    /proc /sys /dev /run /var /tmp /home /root /mnt /media /srv /opt /boot /workspace /data
""".split()  # noqa: SIM905


def enter() -> None:
    """Move into new namespaces; returns in a child that is process 1 of its own.

    The caller's process stays behind to wait: its death is the child's, and the other way round.
    """
    separate()
    inside = os.fork()
    if inside:
        os.closerange(0, 64)  # above all the control socket, so that its end is seen to close
        _, status = os.waitpid(inside, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    kernel.die_with_parent(0, signal.SIGKILL)  # a parent outside has no number in here


def separate() -> None:
    """Leave all namespaces; this process keeps its own number until it forks."""
    uid, gid = os.getuid(), os.getgid()
    kernel.dumpable(True)  # a change of uid cleared it, and with it the right to our own /proc
    kernel.unshare(_USER | _PID | _NETWORK | _IPC | _UTS | _MOUNT | _CGROUP)
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {uid} 1"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(line)


def hide(keep: Iterable[str]) -> None:
    """Cover the folders that hold other people's things with empty read-only ones.

    A folder above one of the paths in `keep` stays. Needs the rights that `separate` gave.
    """
    named = list(keep)
    kept = [*named, *map(os.path.realpath, named)]
    kernel.mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    flags = _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    for folder in HIDDEN:
        needed = any(path == folder or path.startswith(folder + "/") for path in kept)
        if not needed and os.path.isdir(folder) and not os.path.islink(folder):
            kernel.mount("none", folder, "tmpfs", flags, "size=4k,nr_inodes=1,mode=555")
