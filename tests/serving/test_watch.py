"""Servers are started in turn, started again when they die, and leave nothing behind.

Real processes stand in for them: `stand_in.py`.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from tts.errors import ConfigError, Unavailable, leaves
from tts.serving.process import ServerProcess, tail
from tts.serving.watch import Patience, Server, Watch

pytestmark = pytest.mark.anyio
STAND_IN = Path(__file__).with_name("stand_in.py")
QUICK = Patience(start=20, look=0.02, restarts=2, pause=0.05, grace=5)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Command:
    name: str
    folder: Path
    told: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.taken: list[int] = []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def words(self, taken: int = 0) -> list[str]:
        self.taken.append(taken)
        return [sys.executable, str(STAND_IN), str(self.port), str(self.folder), *self.told]

    def environment(self) -> Mapping[str, str]:
        return {"STANDS_IN": "1"}

    def pids(self) -> list[tuple[int, int]]:
        """Of each life: of the server and of its child."""
        path = self.folder / "pids"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(a), int(b)) for a, b in map(str.split, lines)]


def alive(pid: int) -> bool:
    """Whether a process is there that is not only waiting to be noticed as dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def left_over(*commands: Command) -> list[int]:
    """Processes of any life that are still there, after a moment in which they may end."""
    every = [pid for command in commands for life in command.pids() for pid in life]
    end = time.monotonic() + 5
    while (left := [pid for pid in every if alive(pid)]) and time.monotonic() < end:
        time.sleep(0.02)
    return left


def watch_of(
    *commands: Command, patience: Patience = QUICK, tell: Callable[[str], None] = lambda line: None
) -> Watch:
    servers = [
        Server(command, 100 + index, command.folder / "log")
        for index, command in enumerate(commands)
    ]
    return Watch(servers, tell, patience)


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not condition():  # noqa: ASYNC110  other processes make it true
            await anyio.sleep(0.02)


async def test_servers_start_one_after_another_and_leave_nothing(tmp_path: Path) -> None:
    first = Command("first", tmp_path / "a", ("after=0.3",))
    second = Command("second", tmp_path / "b")
    watch = watch_of(first, second)
    begun: list[bool] = []
    async with anyio.create_task_group() as group:

        def ready() -> None:
            begun.append(all(alive(pid) for c in (first, second) for pid in c.pids()[0]))
            group.cancel_scope.cancel()

        await watch.run(ready)
    assert begun == [True]
    # The second was told what the first holds: it began when that was there.
    assert (first.taken, second.taken) == ([0], [100])
    assert left_over(first, second) == []


async def test_a_killed_server_is_started_again_and_told_what_the_other_holds(
    tmp_path: Path,
) -> None:
    told: list[str] = []
    first, second = Command("first", tmp_path / "a"), Command("second", tmp_path / "b")
    watch = watch_of(first, second, tell=told.append)
    ready = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(watch.run, ready.set)
        await ready.wait()
        server, child = first.pids()[0]
        os.kill(server, signal.SIGKILL)
        await until(lambda: watch.servers[0].restarts == 1)
        assert not alive(child)  # what the dead one had started is gone too
        assert all(alive(pid) for pid in first.pids()[1])
        assert len(second.pids()) == 1
        group.cancel_scope.cancel()
    assert first.taken == [0, 101]
    assert any("first: killed by SIGKILL; starting again in 0.05 s" in line for line in told)
    assert left_over(first, second) == []


async def test_a_server_that_never_served_is_not_tried_again(tmp_path: Path) -> None:
    told: list[str] = []
    good, bad = Command("good", tmp_path / "a"), Command("bad", tmp_path / "b", ("dies=9",))
    with pytest.raises(BaseExceptionGroup) as caught:
        await watch_of(good, bad, tell=told.append).run(lambda: pytest.fail("not ready"))
    (error,) = leaves(caught.value)
    assert isinstance(error, Unavailable)
    assert "the server of the bad ended" in str(error)
    assert len(bad.pids()) == 1
    assert any("out of memory, say" in line for line in told)
    assert left_over(good, bad) == []


async def test_a_server_that_dies_too_often_is_given_up(tmp_path: Path) -> None:
    command, other = Command("weak", tmp_path / "a"), Command("other", tmp_path / "b")
    watch = watch_of(command, other)
    failed: list[BaseException] = []

    async def run() -> None:
        try:
            await watch.run(lambda: None)
        except* Unavailable as errors:
            failed.extend(leaves(errors))

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        for life in range(QUICK.restarts + 1):
            await until(lambda life=life: watch.servers[0].restarts == life)  # type: ignore[misc]
            await until(lambda life=life: len(command.pids()) == life + 1)  # type: ignore[misc]
            await until(lambda: other.pids() != [])
            os.kill(command.pids()[-1][0], signal.SIGKILL)
    assert "ended 3 times" in str(failed[0])
    assert len(command.pids()) == 3
    assert left_over(command, other) == []


async def test_a_server_that_fails_while_it_is_started_again_gets_another_turn(
    tmp_path: Path,
) -> None:
    command = Command("first", tmp_path / "a")
    watch = watch_of(command)
    ready = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(watch.run, ready.set)
        await ready.wait()
        command.told = ("dies=2",)  # the life that comes next
        os.kill(command.pids()[0][0], signal.SIGKILL)
        await until(lambda: watch.servers[0].restarts == 1)
        assert len(command.pids()) == 3
        group.cancel_scope.cancel()
    assert left_over(command) == []


async def test_a_server_that_does_not_serve_in_time_is_ended(tmp_path: Path) -> None:
    slow, told = Command("slow", tmp_path / "a", ("after=60",)), list[str]()
    patience = Patience(start=2.0, look=0.02, news=0.2)
    with pytest.raises(BaseExceptionGroup) as caught:
        await watch_of(slow, patience=patience, tell=told.append).run(lambda: None)
    assert any(line.endswith(" s; life 0 of the stand-in") for line in told)
    assert "did not serve within" in str(leaves(caught.value)[0])
    assert left_over(slow) == []


async def test_one_that_is_deaf_to_being_asked_is_ended(tmp_path: Path) -> None:
    deaf = Command("deaf", tmp_path / "a", ("deaf",))
    watch = watch_of(deaf, patience=Patience(look=0.02, grace=0.2))
    async with anyio.create_task_group() as group:
        await watch.run(group.cancel_scope.cancel)
    assert left_over(deaf) == []


async def test_what_cannot_be_run_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no/such/program: No such file"):
        await ServerProcess.start(["/no/such/program"], {}, tmp_path / "log")


def test_the_tail_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("\n".join(map(str, range(9000))))
    assert tail(tmp_path / "log", 2) == "8998\n8999"
    assert tail(tmp_path / "none") == ""


PROGRAM = """
import sys
from pathlib import Path
import anyio
sys.path.insert(0, {here!r})
from test_watch import Command, watch_of
from tts.serving.watch import Patience
folder = Path({folder!r})
commands = [Command("a", folder / "a", {told!r}), Command("b", folder / "b")]
watch = watch_of(*commands, patience=Patience(look=0.02, grace={grace!r}), tell=print)
anyio.run(watch.run_until_signal, lambda: print("ready", flush=True))
print("ended", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_servers_and_nothing_is_left(tmp_path: Path, number: int) -> None:
    process = _program(tmp_path, (), 5.0)
    process.send_signal(number)
    rest, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert rest.splitlines()[-1] == "ended"
    assert _left_in(tmp_path) == []


def test_a_second_signal_does_not_wait_for_the_servers(tmp_path: Path) -> None:
    process = _program(tmp_path, ("deaf",), 600.0)
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    while "stopping" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert _left_in(tmp_path) == []


def _program(folder: Path, told: tuple[str, ...], grace: float) -> subprocess.Popen[str]:
    """A program that watches two servers, once they serve."""
    here = str(Path(__file__).parent)
    code = PROGRAM.format(here=here, folder=str(folder), told=told, grace=grace)
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line == "ready\n":
            return process
    raise AssertionError("the servers did not start")


def _left_in(folder: Path) -> list[int]:
    commands = [Command(name, folder / name) for name in ("a", "b")]
    assert all(len(command.pids()) == 1 for command in commands)
    return left_over(*commands)
