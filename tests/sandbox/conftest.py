"""The arena: things worth protecting around a pool, and the corpus of snippets that go for them."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tts.sandbox import Outcome, SandboxConfig, SandboxPool, Status

CORPUS = Path(__file__).parent / "hostile"
X86, ARM = "x86_64", "aarch64"
# Calls that the sandbox has no number for, because it never allows them: (x86-64, aarch64).
NUMBERS = {
    "add_key": (248, 217), "bpf": (321, 280), "capset": (126, 91), "clone": (56, 220),
    "eventfd2": (290, 19), "execveat": (322, 281), "fcntl": (72, 25), "futex": (202, 98),
    "inotify_init1": (294, 26), "madvise": (28, 233), "personality": (135, 92),
    "syslog": (103, 116), "kcmp": (312, 272), "mount": (165, 40), "mq_open": (240, 180),
    "msgget": (68, 186), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "openat": (257, 56), "perf_event_open": (298, 241), "process_vm_readv": (310, 270),
    "ptrace": (101, 117), "rt_sigqueueinfo": (129, 138), "seccomp": (317, 277),
    "setns": (308, 268), "shmget": (29, 194), "socket": (41, 198), "tgkill": (234, 131),
    "timer_create": (222, 107), "timerfd_create": (283, 85), "tkill": (200, 130),
    "unshare": (272, 97), "userfaultfd": (323, 282), "vfork": (58, 0),
}  # fmt: skip
TOOLS = """
import ctypes, os
NR = {numbers!r}
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(number, *arguments):
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return libc.syscall(ctypes.c_long(number), *wide)
"""


@dataclass(frozen=True)
class Attack:
    """One hostile snippet and the ways in which it may end."""

    name: str
    code: str
    statuses: frozenset[Status]


def corpus() -> list[Attack]:
    """All attacks, in order."""
    column = 0 if platform.machine() == X86 else 1
    tools = TOOLS.format(numbers={name: pair[column] for name, pair in NUMBERS.items()})
    attacks = []
    for file in sorted(CORPUS.glob("*.txt")):
        for part in re.split(r"^### ", file.read_text(), flags=re.MULTILINE)[1:]:
            title, code = part.split("\n", 1)
            match = re.fullmatch(r"(\w+)(?: \[([a-z ]+)\])?", title)
            assert match, title
            statuses = {Status(word) for word in (match[2] or "ok error").split()}
            if "call(" in code or "libc." in code:
                code = tools + code
            attacks.append(Attack(match[1], code, frozenset(statuses)))
    assert len({attack.name for attack in attacks}) == len(attacks)
    return attacks


def zygotes_and_children() -> set[int]:
    """Live processes with the command line of a zygote, for they fork without exec.

    Ours are those below this process, and orphans; those of other engines do not count.
    """
    parents, suspects = {}, set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                pid = int(entry.name)
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                parents[pid] = int(parent)
                command = (entry / "cmdline").read_bytes()
                if b"sandbox/zygote/__main__.py" in command and state not in "ZX":
                    suspects.add(pid)

    def ours(pid: int) -> bool:
        while pid in suspects:
            pid = parents[pid]
        orphan = pid <= 1
        while pid > 1 and pid != os.getpid():
            pid = parents.get(pid, 0)
        return orphan or pid == os.getpid()

    return {pid for pid in suspects if ours(pid)}


def wait_until(condition: Callable[[], object], seconds: float = 10.0) -> bool:
    """Poll a callable until it is true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


class Arena:
    """Files, a process and sockets of ours, the attacks that know of them, and a look at damage."""

    SECRET = "tts-secret-canary"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.canary = directory / "canary"
        self.victim_file = directory / "victim"
        self.socket_path = directory / "socket"
        self.server = socket.create_server(("127.0.0.1", 0))
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(str(self.socket_path))
        self.unix.listen()
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(f"\0tts-{os.getpid()}")
        self.abstract.listen()
        self.repair()

    def repair(self) -> None:
        """Make everything whole, before the first attack and after one that was let through."""
        for path in self.directory.iterdir():
            if path != self.socket_path:
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        # Readable and writable by all, so that what stops an attack is the sandbox.
        self.canary.write_text(self.SECRET)
        self.victim_file.write_text("whole")
        for path in (self.canary, self.victim_file):
            path.chmod(0o666)
        self.directory.chmod(0o777)
        if getattr(self, "victim", None) is None or self._victim_state() != self._untouched:
            self.kill_victim()
            self.victim = subprocess.Popen(
                [sys.executable, "-S", "-c", "import time; time.sleep(1000)"],
                start_new_session=True,
            )
        self._untouched = self._victim_state()
        self.before = self.state()

    def kill_victim(self) -> None:
        if hasattr(self, "victim"):
            self.victim.send_signal(signal.SIGKILL)
            self.victim.wait()

    def state(self) -> dict[str, object]:
        """What must not change."""
        files = {}
        for path in sorted(self.directory.iterdir()):
            status = path.lstat()
            files[path.name] = (status.st_mode, status.st_uid, status.st_size, status.st_mtime_ns)
        shared = [Path(f"/proc/sysvipc/{kind}").read_text().count("\n") for kind in ("shm", "msg")]
        return {
            "files": files,
            "shared memory": shared,
            "victim": self._victim_state(),
            "hostname": socket.gethostname(),
        }

    def _victim_state(self) -> object:
        if self.victim.poll() is not None:
            return "dead"
        pid = self.victim.pid
        try:
            return os.getpriority(os.PRIO_PROCESS, pid), sorted(os.sched_getaffinity(pid))
        except ProcessLookupError:  # dying
            return "dead"

    def arm(self, code: str) -> str:
        """The snippet with the names of our things filled in."""
        for name, value in (
            ("CANARY", self.canary),
            ("VICTIM_FILE", self.victim_file),
            ("DIRECTORY", self.directory),
            ("SOCKET", self.socket_path),
            ("PORT", self.server.getsockname()[1]),
            ("VICTIM", self.victim.pid),
            ("ENGINE", os.getpid()),
            ("NUL", "\0"),
            ("SURROGATE", "\udcff"),
        ):
            code = code.replace(f"@{name}@", str(value))
        return code

    def connections(self) -> int:
        """How many came to our sockets since the last time."""
        count = 0
        for listener in (self.server, self.unix, self.abstract):
            listener.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    listener.accept()[0].close()
                    count += 1
        return count

    def damage(self, outcome: Outcome) -> str:
        """What an attack achieved, in words; "" if nothing."""
        found = []
        if "BREACH" in outcome.stdout + outcome.stderr:
            found.append(outcome.stdout + outcome.stderr)
        after = self.state()
        found += [f"{key}: {after[key]}" for key in after if after[key] != self.before[key]]
        if self.connections():
            found.append("connected")
        return "; ".join(found)

    def close(self) -> None:
        """Take it all down."""
        self.kill_victim()
        for listener in (self.server, self.unix, self.abstract):
            listener.close()


PROBES = {
    "print(sum(range(10)), len('abc'), sorted({'b', 'a'}))": "45 3 ['a', 'b']\n",
    "import random, math\nprint(random.random(), math.sqrt(2))": (
        "0.8444218515250481 1.4142135623730951\n"
    ),
    "from sympy import *\nx = symbols('x')\nprint(solve(x**2 - 5*x + 6, x), pi.evalf(8))": (
        "[2, 3] 3.1415927\n"
    ),
}

HARSH = SandboxConfig(
    workers=2, deadline_seconds=0.6, memory_bytes=192 << 20, cache_entries=0, importable=()
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "attack" in metafunc.fixturenames:
        metafunc.parametrize("attack", corpus(), ids=lambda attack: attack.name)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    place = Arena(tmp_path_factory.mktemp("arena"))
    yield place
    place.close()


@pytest.fixture(scope="session")
def attacks() -> list[Attack]:
    return corpus()


@pytest.fixture(scope="session")
def harsh() -> SandboxConfig:
    """Short deadlines, little memory, nothing remembered."""
    return HARSH


@pytest.fixture(scope="module")
async def pool(anyio_backend: str) -> AsyncIterator[SandboxPool]:
    """A strict pool with its image, shared by a module's tests."""
    os.environ["TTS_SECRET_KEY"] = "tts-secret-of-the-engine"
    async with SandboxPool(HARSH) as opened:
        yield opened
    del os.environ["TTS_SECRET_KEY"]


@pytest.fixture(scope="session")
def probe() -> Callable[[SandboxPool], Awaitable[None]]:
    """Ask a pool questions with exact answers, which an attack before them must not change."""

    async def ask(pool: SandboxPool) -> None:
        for code, answer in PROBES.items():
            outcome = await pool.run(code, deadline=60)
            assert (outcome.status, outcome.stdout, outcome.error) == (Status.OK, answer, None)

    return ask


@pytest.fixture(scope="session")
def processes() -> Callable[[], set[int]]:
    """The zygotes and children that live now."""
    return zygotes_and_children


@pytest.fixture(scope="session")
def eventually() -> Callable[..., bool]:
    """Poll a callable until it is true, for at most ten seconds."""
    return wait_until
