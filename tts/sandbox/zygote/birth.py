"""The zygote's birth: confine, fork a twin, import, warm up, confine for good, report, serve.

The order matters. What needs rights comes first (uid, namespaces), then the imports, which need to
read; Landlock comes last, because it allows only what the imports turned out to need.

The twin goes the same way without the image. A fork copies the page tables of all that is mapped,
and an exit tears them down: a snippet that computes with plain numbers should not pay for sympy.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

from . import (
    arenas,
    compact,
    hugepages,
    identity,
    image,
    kernel,
    landlock,
    limits,
    namespaces,
    wire,
)
from .child import Confinement, Errand
from .rehearsal import rehearse
from .seccomp import Filter
from .serve import Zygote
from .streams import Streams

_SYSTEM_FILES = ("/etc/ld.so.cache", "/usr/share/zoneinfo")
_OPEN_FILES = 512
_OUT_OF_MEMORY_SCORE = "500"


class Lines(NamedTuple):
    """Whom a zygote listens to, whom it answers, and to whom it passes on what needs no image."""

    orders: socket.socket
    engine: socket.socket
    twin: socket.socket | None


class Layers:
    """Which layers were asked for, which hold, and why not."""

    def __init__(self, disabled: Sequence[str]) -> None:
        self._disabled = frozenset(disabled)
        self.report: dict[str, tuple[bool, str]] = {}
        self.twin: dict[str, tuple[bool, str]] = {}
        """What the twin reported, if there is one."""

    def of_both(self) -> dict[str, tuple[bool, str]]:
        """A layer holds if it does here and in the twin."""
        lacking = {name: (holds, why) for name, (holds, why) in self.twin.items() if not holds}
        return {**self.report, **lacking}

    def attempt(self, name: str, step: Callable[[], object], detail: str = "") -> bool:
        """Take `step` unless the layer is disabled; whether it holds goes into the report."""
        if name in self._disabled:
            self.report[name] = (False, "disabled by the configuration")
            return False
        try:
            step()
        except OSError as error:
            self.report[name] = (False, error.strerror or str(error))
        except ValueError as error:
            self.report[name] = (False, str(error))
        else:
            self.report[name] = (True, detail)
        return self.report[name][0]


def main(control: int, report: int, settings: str) -> NoReturn:
    """Become a zygote that speaks over `control`; describe it once in the file `report`."""
    began = time.monotonic()
    wish: dict[str, Any] = json.loads(settings)
    line = socket.socket(fileno=control)
    line.setblocking(True)
    layers = Layers(wish["disabled"])
    _limit_open_files()
    _prefer_in_shortage()

    folders: list[str] = wish["folders"]
    interpreter = [image.standard_library(), *folders]
    _change_identity(layers, interpreter)
    if layers.attempt("namespaces", lambda: rehearse(_separate_and_hide(interpreter))):
        namespaces.enter()
    elif kernel.KNOWN:
        kernel.dumpable(True)  # a change of uid cleared it; we still need our own /proc entry

    if wish["image"]:
        _live(wish, layers, _with_twin(wish, layers, line, began), report, began)
    _live(wish, layers, Lines(line, line, None), report, began)


def _with_twin(wish: dict[str, Any], layers: Layers, line: socket.socket, began: float) -> Lines:
    """Fork the twin, and wait until it has found all that it needs to read."""
    ours, theirs = wire.socket_pair()
    reading, writing = os.pipe()
    parent = os.getpid()
    if os.fork() == 0:
        if kernel.KNOWN:
            kernel.die_with_parent(parent, signal.SIGKILL)
        ours.close()
        os.close(reading)
        everything = [*wish["image"], *wish["importable"]]
        plain = {**wish, "image": [], "importable": everything}
        _live(plain, layers, Lines(theirs, line, None), writing, began)
    theirs.close()
    os.close(writing)
    with open(reading, encoding="utf-8") as file:
        said = file.read()
    if not said:
        raise RuntimeError("the twin without an image died at its birth")
    layers.twin = json.loads(said)["layers"]
    return Lines(line, line, ours)


def _live(
    wish: dict[str, Any], layers: Layers, lines: Lines, report: int, began: float
) -> NoReturn:
    """Import, confine for good, report, serve."""
    is_twin = lines.orders is not lines.engine
    folders: list[str] = wish["folders"]
    with arenas.InOnePiece():
        modules, package_folders = image.load(wish["image"], wish["importable"], folders)
    readable = [*image.readable(folders), *package_folders, *_SYSTEM_FILES]
    gc.collect()
    holes = compact.fill_holes()
    gc.freeze()  # so that a child's collections do not touch, and so copy, the zygote's pages
    huge = hugepages.candidates()
    layers.attempt("single_thread", _one_thread)
    mapped_bytes = _mapped_bytes()

    if layers.report["namespaces"][0] and not is_twin:  # once, for they share mounts
        namespaces.hide([*readable, *folders])
    layers.attempt("not_dumpable", lambda: kernel.dumpable(False))
    layers.attempt("capabilities", kernel.drop_capabilities)
    layers.attempt("no_new_privileges", kernel.no_new_privileges)
    version = min(landlock.abi(), wish["landlock_abi"])
    layers.attempt("landlock", lambda: _landlock(readable, version), f"ABI {version}")

    confinement = _prepare(layers, version)
    layers.attempt(
        "limits",
        lambda: limits.impose(wish["memory_bytes"], wish["output_bytes"], mapped_bytes),
    )
    errand = Errand(confinement, Streams(wish["output_bytes"]), wish["module_name"])
    image.seed(wish["seed"])
    _write_all(
        report,
        {
            "layers": layers.of_both(),
            "modules": modules,
            "python": sys.version,
            "start_seconds": time.monotonic() - began,
        },
    )
    os.close(report)
    errand.practise()
    hugepages.gather(huge)  # as late as can be: what is written to while a child lives is split
    fork = kernel.fork if layers.report["single_thread"][0] else os.fork
    zygote = Zygote(*lines, errand, fork)
    if not is_twin:
        wire.send(lines.engine, wire.Record(wire.READY))
    zygote.serve()
    del holes
    os._exit(0)


def _prepare(layers: Layers, landlock_abi: int) -> Confinement:
    """Find out by trial which layers a child can impose on itself."""
    filter_ = Filter(kernel.MACHINE) if kernel.KNOWN else None
    return Confinement(
        scope=landlock.prepared(landlock.scope(landlock_abi))
        if layers.attempt("landlock_scope", lambda: rehearse(lambda: _own_scope(landlock_abi)))
        else None,
        own_session=layers.attempt("own_session", lambda: rehearse(os.setsid)),
        parent_death=kernel.prepared_parent_death(signal.SIGKILL)
        if layers.attempt(
            "parent_death_signal",
            lambda: rehearse(lambda: kernel.die_with_parent(os.getppid(), signal.SIGKILL)),
        )
        else None,
        parent=os.getpid(),
        longest_seconds=limits.longest_processor_seconds(),
        filter=filter_.install
        if layers.attempt("seccomp", lambda: rehearse(lambda: _install(filter_)), kernel.MACHINE)
        and filter_ is not None
        else None,
    )


def _limit_open_files() -> None:
    """A low ceiling, so that closing "all others" is quick where it needs one call per number."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _prefer_in_shortage() -> None:
    """When memory runs out, the kernel should take the sandbox before the engine."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write(_OUT_OF_MEMORY_SCORE)
    except OSError:
        pass


def _change_identity(layers: Layers, folders: Sequence[str]) -> None:
    if os.getuid() != 0:
        layers.attempt("user", lambda: None, f"already an ordinary user, uid {os.getuid()}")
        return

    def step() -> None:
        if not kernel.KNOWN:
            raise OSError(errno.ENOSYS, f"not on {sys.platform}")
        try:
            rehearse(lambda: identity.become_nobody_and_read(folders))
        except OSError as error:
            reason = "the interpreter or its packages are not readable by other users"
            raise OSError(error.errno or errno.EACCES, reason) from None
        identity.become_nobody()

    layers.attempt("user", step, f"uid {identity.NOBODY}")


def _separate_and_hide(keep: Sequence[str]) -> Callable[[], None]:
    def step() -> None:
        namespaces.separate()
        namespaces.hide(keep)

    return step


def _one_thread() -> None:
    """A fork copies one thread; locks that others hold would stay locked in every child."""
    threads = len(os.listdir("/proc/self/task"))
    if threads != 1:
        raise OSError(errno.EAGAIN, f"{threads} threads after the imports")


def _mapped_bytes() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def _landlock(readable: Sequence[str], version: int) -> None:
    if version < 1:
        raise OSError(errno.ENOSYS, "this kernel has no Landlock, or it is switched off")
    landlock.read_only(readable, [image.standard_library()], version)


def _own_scope(version: int) -> None:
    if version < landlock.SCOPE_SINCE:
        raise OSError(errno.ENOSYS, f"needs Landlock ABI {landlock.SCOPE_SINCE}, have {version}")
    kernel.checked(landlock.prepared(landlock.scope(version))(), "landlock_scope")


def _install(filter_: Filter | None) -> None:
    if filter_ is None:
        raise OSError(errno.ENOSYS, f"no system call table for {sys.platform} {kernel.MACHINE}")
    kernel.checked(filter_.install(), "seccomp")


def _write_all(file: int, content: dict[str, Any]) -> None:
    data = json.dumps(content).encode()
    while data:
        data = data[os.write(file, data) :]
