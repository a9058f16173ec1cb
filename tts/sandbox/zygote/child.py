"""One child: confine itself, run one snippet in a fresh namespace, leave its last words, end.

Everything after the filter is installed runs beside hostile code: the snippet may have replaced
any builtin, any module's content, or set a timer that raises in the middle of our own lines. So
what the ending needs is bound to locals early, and an exception that escapes regardless ends the
process, because no caller up to the interpreter catches it.
"""

from __future__ import annotations

import os
import signal
import sys
from _signal import signal as set_handler  # type: ignore[import-not-found] # the other one is Python
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

from . import limits, wire
from .kernel import checked
from .streams import Streams

_FIRST_FOREIGN, _OPEN_FILES = 4, 512  # above stdin, stdout, stderr and the result
_CHILD_ENDED, _DEFAULT = int(signal.SIGCHLD), int(signal.SIG_DFL)
_HARMLESS = ("print(6 * 7)", "assert 6 * 7 == 41, 'wrong'")
_UNTIL_SPECIALIZED = 10  # calls: more than the interpreter waits for
_UNPRINTABLE = b"Exception: its message could not be printed"


class Confinement(NamedTuple):
    """What each child imposes on itself. A layer that this system lacks is None or False."""

    scope: Callable[[], int] | None  # enter a Landlock domain of its own
    own_session: bool
    parent_death: Callable[[], int] | None  # ask to be killed when the parent ends
    parent: int  # as getppid() of the child says while the parent lives
    longest_seconds: int  # of processor time
    filter: Callable[[], int] | None  # install the filter

    def impose(self, seconds: float) -> None:
        """Confine this process, the filter last. An exception means: do not run the snippet."""
        if self.scope is not None:
            checked(self.scope(), "landlock_scope")
        os.closerange(_FIRST_FOREIGN, _OPEN_FILES)
        if self.own_session:
            os.setsid()
        if self.parent_death is not None:
            checked(self.parent_death(), "parent_death_signal")
            if os.getppid() != self.parent:
                os._exit(0)
        limits.impose_last(seconds, self.longest_seconds)
        if self.filter is not None:
            checked(self.filter(), "seccomp")


class Errand(NamedTuple):
    """What every child of one zygote does the same way."""

    confinement: Confinement
    streams: Streams
    module_name: str

    def run(self, files: list[int], seconds: float) -> NoReturn:
        """Never returns: ends the process with status 0 once its last words are written."""
        end = os._exit
        result = files[3]
        try:
            *prelude, code = wire.unpack_texts(_read(files[0]))
            os.dup2(files[1], 1)
            os.dup2(files[2], 2)
            os.dup2(files[3], 3)
            result = 3
            signal.set_wakeup_fd(-1)
            set_handler(_CHILD_ENDED, _DEFAULT)
            self.confinement.impose(seconds)
        except BaseException as error:
            words = wire.VERDICT.pack(wire.UNCONFINED, False, 0, 0) + repr(error).encode()
            os.pwrite(result, words, 0)
            end(1)
        try:
            _execute(code, prelude, self.streams, self.module_name, os.pwrite)
        finally:
            end(0)
        raise AssertionError("unreachable")

    def practise(self) -> None:
        """Take the steps of a child, but for its confinement, in the zygote itself, silently.

        The interpreter then has found what they look up and has specialized their code; otherwise
        each child would do so again, on pages of its own.
        """
        self.streams.mute(True)
        for _ in range(_UNTIL_SPECIALIZED):
            for snippet in _HARMLESS:
                (code,) = wire.unpack_texts(wire.pack_texts([snippet]))
                _execute(code, (), self.streams, self.module_name, _discard)
        self.streams.mute(False)


def _discard(file: int, data: bytes, offset: int) -> None:
    """In the place of pwrite(2)."""


def _read(file: int) -> bytes:
    size = os.lseek(file, 0, os.SEEK_END)
    data = os.pread(file, size, 0)
    while len(data) < size and (chunk := os.pread(file, size - len(data), len(data))):
        data += chunk
    return data


def _namespace(module_name: str) -> dict[str, Any]:
    """The globals of a snippet. Without `__name__` it reads 'builtins', as under a bare exec()."""
    if module_name == "builtins":
        return {}
    module = ModuleType(module_name)
    sys.modules[module_name] = module
    return module.__dict__


def _execute(
    text: str, prelude: Sequence[str], streams: Streams, module_name: str, pwrite: Any
) -> None:
    pack, failure, verdict_of = wire.VERDICT.pack, BaseException, _verdict_of
    namespace = _namespace(module_name)
    starts = _replay(prelude, namespace, streams) if prelude else (0, 0)
    verdict, words = wire.FINE, b""
    try:
        code = compile(text, "<string>", "exec", dont_inherit=True)
        exec(code, namespace)
    except failure as error:
        verdict, words = wire.RAISED, _UNPRINTABLE
        try:  # noqa: SIM105 - suppress() is Python code, which a snippet can spoil
            verdict, words = verdict_of(error)
        except failure:
            pass
    try:  # noqa: SIM105
        streams.flush()
    except failure:
        pass
    out, err = streams.raw
    pwrite(3, pack(verdict, out.dropped or err.dropped, *starts) + words, 0)


def _verdict_of(error: BaseException) -> tuple[bytes, bytes]:
    """Verdict and `Type: message`. The message is the snippet's own code and may do anything."""
    if isinstance(error, SystemExit):
        code = error.code
        if code is None or (type(code) is int and code == 0):
            return wire.FINE, b""
    words = f"{type(error).__name__}: {error}"
    return wire.RAISED, str.encode(words, "utf-8", "backslashreplace")


def _replay(blocks: Sequence[str], namespace: dict[str, Any], streams: Streams) -> tuple[int, int]:
    """Run earlier blocks without a sound; what they raise was reported when they were new.

    Returns where the output of what follows begins in stdout and stderr.
    """
    streams.mute(True)
    for block in blocks:
        with suppress(BaseException):
            exec(compile(block, "<string>", "exec", dont_inherit=True), namespace)
    streams.mute(False)
    return streams.offsets()
