"""One child: confine itself, run one snippet in a fresh namespace, leave its last words, end.

Everything after the filter is installed runs beside hostile code: the snippet may have replaced
any builtin, any module's content, or set a timer that raises in the middle of our own lines. So
what the ending needs is bound to locals early, and an exception that escapes regardless ends the
process, because no caller up to the interpreter catches it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

from . import kernel, landlock, limits, wire
from .seccomp import Filter
from .streams import Streams

_FIRST_FOREIGN, _OPEN_FILES = 4, 512  # above stdin, stdout, stderr and the result
_UNPRINTABLE = b"Exception: its message could not be printed"


class Confinement(NamedTuple):
    """What each child imposes on itself. A layer that this system lacks is None or False."""

    own_session: bool
    die_with_parent: bool
    scope: int | None  # a Landlock ruleset to enter
    filter: Filter | None

    def impose(self, seconds: float, parent: int) -> None:
        """Confine this process, the filter last. An exception means: do not run the snippet."""
        if self.scope is not None:
            landlock.enter(self.scope)
        os.closerange(_FIRST_FOREIGN, _OPEN_FILES)
        if self.own_session:
            os.setsid()
        if self.die_with_parent:
            kernel.die_with_parent(parent, signal.SIGKILL)
        limits.impose_last(seconds)
        if self.filter is not None:
            self.filter.install()


class Errand(NamedTuple):
    """What every child of one zygote does the same way."""

    confinement: Confinement
    streams: Streams
    module_name: str
    seed: int
    parent: int  # as getppid() of the child will say

    def run(self, files: list[int], seconds: float) -> NoReturn:
        """Never returns: ends the process with status 0 once its last words are written."""
        end = os._exit
        result = files[3]
        try:
            request = _read_request(files[0])
            for source, target in zip(files[1:], (1, 2, 3), strict=True):
                os.dup2(source, target)
            result = 3
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            random.seed(self.seed)  # CPython reseeded it after the fork
            self.confinement.impose(seconds, self.parent)
        except BaseException as error:
            words = wire.VERDICT.pack(wire.UNCONFINED, False, 0, 0) + repr(error).encode()
            os.pwrite(result, words, 0)
            end(1)
        try:
            _execute(request, self.streams, self.module_name, os.pwrite)
        finally:
            end(0)
        raise AssertionError("unreachable")


def _read_request(file: int) -> dict[str, Any]:
    missing = os.fstat(file).st_size
    chunks = []
    offset = 0
    while missing and (chunk := os.pread(file, missing, offset)):
        chunks.append(chunk)
        offset += len(chunk)
        missing -= len(chunk)
    request: dict[str, Any] = json.loads(b"".join(chunks))
    return request


def _namespace(module_name: str) -> dict[str, Any]:
    """The globals of a snippet. Without `__name__` it reads 'builtins', as under a bare exec()."""
    if module_name == "builtins":
        return {}
    module = ModuleType(module_name)
    sys.modules[module_name] = module
    return module.__dict__


def _execute(request: dict[str, Any], streams: Streams, module_name: str, pwrite: Any) -> None:
    pack, failure, verdict_of = wire.VERDICT.pack, BaseException, _verdict_of
    namespace = _namespace(module_name)
    blocks: Iterable[str] = request["prelude"]
    if blocks:
        _replay(blocks, namespace, streams)
    starts = streams.offsets()
    verdict, text = wire.FINE, b""
    try:
        code = compile(request["code"], "<string>", "exec", dont_inherit=True)
        exec(code, namespace)
    except failure as error:
        verdict, text = wire.RAISED, _UNPRINTABLE
        try:  # noqa: SIM105 - suppress() is Python code, which a snippet can spoil
            verdict, text = verdict_of(error)
        except failure:
            pass
    try:  # noqa: SIM105
        streams.flush()
    except failure:
        pass
    dropped = any(raw.dropped for raw in streams.raw)
    pwrite(3, pack(verdict, dropped, *starts) + text, 0)


def _verdict_of(error: BaseException) -> tuple[bytes, bytes]:
    """Verdict and `Type: message`. The message is the snippet's own code and may do anything."""
    if isinstance(error, SystemExit):
        code = error.code
        if code is None or (type(code) is int and code == 0):
            return wire.FINE, b""
    words = f"{type(error).__name__}: {error}"
    return wire.RAISED, str.encode(words, "utf-8", "backslashreplace")


def _replay(blocks: Iterable[str], namespace: dict[str, Any], streams: Streams) -> None:
    """Run earlier blocks without a sound; what they raise was reported when they were new."""
    streams.mute(True)
    for block in blocks:
        with suppress(BaseException):
            exec(compile(block, "<string>", "exec", dont_inherit=True), namespace)
    streams.mute(False)
