"""The engine's end of one zygote: start it, hand it snippets, notice its death."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

import anyio

from tts.errors import SandboxError

from . import anonymous
from .config import SandboxConfig
from .outcome import Outcome, Status
from .plainness import plainness
from .zygote import wire

ENVIRONMENT: Mapping[str, str] = {
    "LANG": "C.UTF-8",
    "PATH": "/usr/bin:/bin",
    "PYTHONHASHSEED": "0",  # sets print in the same order every time
    "TZ": "UTC",
    # What children write to, the kernel has to copy: so no lists of what was used last, which each
    # hit reorders (a snippet ends before memory does), and no function looked up at its first call.
    "SYMPY_CACHE_SIZE": "None",
    "LD_BIND_NOW": "1",
    "MALLOC_ARENA_MAX": "1",
    # Worker threads would not survive a fork.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
}
INHERITED = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # without them some interpreters do not start

_GRACE_SECONDS = 5.0  # after a deadline passed unreported the zygote itself is taken for hung
_ERROR_BYTES = 64 << 10
_PROGRAM = pathlib.Path(__file__).resolve().parent / "zygote" / "__main__.py"


class ZygoteDied(Exception):
    """The zygote, or a child before it ran its snippet, is gone: nothing was learnt about it.

    When the zygote is gone, `listen` has ended before this is raised.
    """


class _Call:
    """A snippet in flight: the record arrives before the event is set; None if it never will."""

    __slots__ = ("done", "record")

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.record: wire.Record | None = None


class ForkServer:
    """One zygote process. Make it with `start`, keep `listen` running, end it with `stop`."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._plain = plainness((*config.image, *config.importable))
        self._numbers = itertools.count(1)
        self._gone = anyio.Event()
        self._calls: dict[int, _Call] = {}
        self._report_file = anonymous.create()
        self._error_file = anonymous.create()
        self._line, theirs = wire.socket_pair()
        self._line.setblocking(False)
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        settings = {
            "image": config.image,
            "importable": config.importable,
            "folders": package_folders((*config.image, *config.importable)),
            "module_name": config.module_name,
            "seed": config.seed,
            "memory_bytes": config.memory_bytes,
            "output_bytes": config.output_bytes,
            "disabled": sorted(config.disabled_layers),
            "landlock_abi": config.landlock_abi,
        }
        with theirs:
            numbers = [str(theirs.fileno()), str(self._report_file)]
            self._process = subprocess.Popen(  # noqa: S603
                [
                    sys.executable,
                    "-s",
                    "-S",
                    "-P",
                    "-B",
                    str(_PROGRAM),
                    *numbers,
                    json.dumps(settings),
                ],
                pass_fds=(theirs.fileno(), self._report_file),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._error_file,
                env={**inherited, **ENVIRONMENT},
                cwd="/",
                start_new_session=True,
            )
        self.report: dict[str, object] = {}

    async def start(self) -> None:
        """Wait until the zygote serves, and read its report. SandboxError when it does not."""
        try:
            with anyio.fail_after(self._config.start_seconds):
                await anyio.wait_readable(self._line)
            record, _ = wire.receive(self._line)
        except (TimeoutError, OSError) as error:
            raise SandboxError(f"the sandbox did not start: {error!r}") from error
        if record is None or record.kind != wire.READY:
            words = anonymous.contents(self._error_file, _ERROR_BYTES)[0].decode("utf-8", "replace")
            raise SandboxError(f"the sandbox did not start:\n{words.strip()[-2000:]}")
        self.report = json.loads(anonymous.contents(self._report_file, 1 << 20)[0])

    async def listen(self) -> None:
        """Deliver results until the zygote is gone, then fail what it was still running."""
        try:
            while True:
                try:
                    record, _ = wire.receive(self._line)
                except BlockingIOError:
                    await anyio.wait_readable(self._line)
                    continue
                except OSError:
                    return
                if record is None:
                    return
                call = self._calls.pop(record.id, None)
                if call is not None:
                    call.record = record
                    call.done.set()
        finally:
            for call in self._calls.values():
                call.done.set()
            self._calls.clear()
            self._gone.set()

    async def run(
        self, code: str, prelude: Sequence[str], seconds: float, plain: bool | None = None
    ) -> Outcome:
        """Run one snippet; ZygoteDied when the zygote ended before it did.

        `plain` says whether it needs no image; None: see for yourself. Cancelling the caller ends
        the snippet.
        """
        texts = (*prelude, code)
        source = wire.PLAIN if (self._plain(texts) if plain is None else plain) else wire.WITH_IMAGE
        request = wire.pack_texts(texts)
        files: list[int] = []
        try:
            files.append(anonymous.create(request))
            files += [anonymous.create() for _ in range(3)]
            record = await self._call(source, seconds, tuple(files))
            _, stdout, stderr, result = files
            return self._outcome(record, stdout, stderr, result, seconds)
        finally:
            for file in files:
                os.close(file)

    async def _call(self, source: int, seconds: float, files: tuple[int, ...]) -> wire.Record:
        number = next(self._numbers)
        call = self._calls[number] = _Call()
        try:
            order = wire.Record(wire.RUN, source, id=number, seconds=seconds)
            await self._send(order, files)
            with anyio.move_on_after(seconds + _GRACE_SECONDS):
                await call.done.wait()
        except BaseException:
            if self._calls.pop(number, None) is not None:
                with anyio.CancelScope(shield=True):
                    await self._cancel(number)
            raise
        if self._calls.pop(number, None) is not None:
            self.kill()  # it does not keep its deadlines
            return wire.Record(wire.DONE, wire.OVERDUE, signal.SIGKILL, number, seconds)
        if call.record is None:
            raise ZygoteDied
        return call.record

    async def _cancel(self, number: int) -> None:
        with contextlib.suppress(ZygoteDied):  # and the snippet with it
            await self._send(wire.Record(wire.CANCEL, id=number))

    async def _send(self, record: wire.Record, files: tuple[int, ...] = ()) -> None:
        while True:
            try:
                wire.send(self._line, record, files)
            except BlockingIOError:
                await anyio.wait_writable(self._line)
            except OSError as error:
                self.kill()
                await self._gone.wait()  # so that a second try meets the next zygote
                raise ZygoteDied from error
            else:
                return

    def _outcome(
        self, record: wire.Record, stdout: int, stderr: int, result: int, seconds: float
    ) -> Outcome:
        limit = self._config.output_bytes
        words, _ = anonymous.contents(result, wire.VERDICT.size + _ERROR_BYTES)
        verdict, dropped, starts = b"", False, (0, 0)
        if len(words) >= wire.VERDICT.size:
            verdict, dropped, *offsets = wire.VERDICT.unpack_from(words)
            starts = (offsets[0], offsets[1])
        status, error = _judge(record, verdict, words[wire.VERDICT.size :], seconds)
        if status is Status.CRASHED:
            raise ZygoteDied(error)
        out, more_out = _text(stdout, starts[0], limit)
        err, more_err = _text(stderr, starts[1], limit)
        return Outcome(
            status,
            out,
            err,
            error,
            cpu_seconds=record.cpu_seconds,
            wall_seconds=record.seconds,
            truncated=dropped or more_out or more_err,
            peak_bytes=record.peak_bytes,
        )

    def kill(self) -> None:
        """End the zygote at once; its children go with it. `listen` then returns."""
        self._process.kill()

    async def stop(self) -> None:
        """End the process, wait until it is gone, and free what belongs to it. Idempotent."""
        self.kill()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._process.wait)
        if self._line.fileno() >= 0:
            self._line.close()
            os.close(self._report_file)
            os.close(self._error_file)


def _judge(
    record: wire.Record, verdict: bytes, words: bytes, seconds: float
) -> tuple[Status, str | None]:
    """The status of a snippet, from how its process ended first and from its last words second."""
    code = os.waitstatus_to_exitcode(record.status)
    if record.why == wire.OVERDUE:
        return Status.TIMEOUT, f"did not end within {seconds:g} seconds"
    if code == -signal.SIGXCPU or (code == -signal.SIGKILL and record.cpu_seconds > seconds):
        return Status.TIMEOUT, f"used more than {seconds:g} seconds of processor time"
    if code < 0:
        return Status.KILLED, f"killed by {_signal_name(-code)}"
    if verdict == wire.FINE:
        return Status.OK, None
    if verdict == wire.RAISED:
        return Status.ERROR, words.decode("utf-8", "replace")
    if verdict == wire.UNCONFINED:
        return Status.CRASHED, words.decode("utf-8", "replace")
    return Status.KILLED, f"its process ended with status {code} before the snippet did"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _text(file: int, start: int, limit: int) -> tuple[str, bool]:
    """At most `limit` bytes from `start` as text, without a character cut in half."""
    data, more = anonymous.contents(file, limit, start)
    if more or len(data) == limit:
        for back in range(1, min(4, len(data)) + 1):
            lead = data[-back]
            if lead >= 0xC0:
                width = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
                data = data[:-back] if back < width else data
                break
            if lead < 0x80:
                break
    return data.decode("utf-8", "replace"), more


def package_folders(names: Sequence[str]) -> list[str]:
    """The folders in which this interpreter finds the packages `names`, and other installed ones.

    The zygote runs without `site`, so it has to be told. Nothing is imported.
    """
    installed = ("site-packages", "dist-packages")
    folders = [path for entry in sys.path if (path := pathlib.Path(entry)).name in installed]
    for name in names:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            continue
        if spec is not None:
            places = spec.submodule_search_locations or ()
            folders.extend(pathlib.Path(place).parent for place in places)
    present = (str(folder.absolute()) for folder in folders if folder.is_dir())
    return list(dict.fromkeys(present))
