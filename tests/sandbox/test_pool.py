"""The pool as a machine: deadlines, cancellation, death and recovery, back-pressure, no leaks."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from tts.errors import ConfigError, SandboxError
from tts.sandbox import SandboxConfig, SandboxPool, Status, anonymous

pytestmark = pytest.mark.anyio
BARE = SandboxConfig(image=(), workers=2, cache_entries=0, deadline_seconds=30)
SPIN = "while True:\n    pass"


def children_of(pid: int) -> set[int]:
    """All descendants of a process."""
    found: set[int] = set()
    with_parents = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] not in "ZX":
                with_parents.append((int(entry.name), int(fields[1])))
    grew = True
    while grew:
        new = {p for p, parent in with_parents if parent in found | {pid}} - found
        found |= new
        grew = bool(new)
    return found


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def open_files(pid: int) -> int:
    """Of another process; 0 if it is gone."""
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return 0


def zygote_of(pool: SandboxPool) -> int:
    assert pool._server is not None
    return pool._server._process.pid


async def kill_zygote(pool: SandboxPool) -> None:
    """Kill it and wait until the pool has noticed, so that the next snippet cannot slip through."""
    server = pool._server
    os.kill(zygote_of(pool), 9)
    while pool._server is server:  # noqa: ASYNC110
        await anyio.sleep(0.005)


def environment() -> dict[str, str]:
    """For a second interpreter that must find what this one finds."""
    root = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, *filter(None, sys.path)])}


async def test_outcome_of_a_plain_snippet(pool) -> None:
    outcome = await pool.run("import sys\nprint('out')\nprint('err', file=sys.stderr)\n1 + 1")
    assert (outcome.status, outcome.stdout, outcome.stderr) == (Status.OK, "out\n", "err\n")
    assert outcome.error is None
    assert not outcome.truncated
    assert not outcome.cached
    assert outcome.cpu_seconds > 0
    assert outcome.wall_seconds > 0
    assert outcome.peak_bytes > 1 << 20


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("1/0", "ZeroDivisionError: division by zero"),
        ("raise ValueError", "ValueError: "),
        ("import sys\nsys.exit(2)", "SystemExit: 2"),
        ("import sys\nsys.exit('no')", "SystemExit: no"),
        ("assert 1 == 2, 'differs'", "AssertionError: differs"),
        ("{}['key']", "KeyError: 'key'"),
        ("import nonesuch", "ModuleNotFoundError: No module named 'nonesuch'"),
        ("raise ValueError('\\ud800')", "ValueError: \\ud800"),
    ],
)
async def test_error_is_the_last_line_of_a_traceback(pool, code: str, error: str) -> None:
    outcome = await pool.run("print('before')\n" + code)
    assert (outcome.status, outcome.error, outcome.stdout) == (Status.ERROR, error, "before\n")


@pytest.mark.parametrize(
    "code", ["exit()", "quit()", "import sys\nsys.exit(0)", "raise SystemExit"]
)
async def test_leaving_for_success_is_success(pool, code: str) -> None:
    outcome = await pool.run(f"print('before')\n{code}\nprint('after')")
    assert (outcome.status, outcome.stdout) == (Status.OK, "before\n")


@pytest.mark.parametrize("letter", ["x", "é", "€", "😀"])
async def test_long_output_is_cut_between_characters(pool, letter: str) -> None:
    limit = pool.config.output_bytes
    outcome = await pool.run(f"print({letter!r} * 100000)\nprint('end')")
    assert outcome.status is Status.OK
    assert outcome.truncated
    assert outcome.stdout == letter * (limit // len(letter.encode()))
    exact = await pool.run(f"print('x' * {limit}, end='')")
    assert (len(exact.stdout), exact.truncated) == (limit, False)


async def test_output_before_a_deadline_is_kept(pool) -> None:
    outcome = await pool.run("print('so far')\n" + SPIN, deadline=0.4)
    assert (outcome.status, outcome.stdout) == (Status.TIMEOUT, "so far\n")
    assert outcome.error == "did not end within 0.4 seconds"


async def test_main_guard_runs_unless_told_otherwise(pool) -> None:
    code = "if __name__ == '__main__':\n    print('main')\nelse:\n    print(__name__)"
    assert (await pool.run(code)).stdout == "main\n"
    async with SandboxPool(replace(BARE, module_name="builtins")) as bare:
        assert (await bare.run(code)).stdout == "builtins\n"


async def test_dataclasses_enums_and_pickles_find_their_module(pool) -> None:
    code = """
import dataclasses, enum, pickle, typing
@dataclasses.dataclass
class Point:
    x: "int"
class Colour(enum.Enum):
    RED = 1
print(pickle.loads(pickle.dumps(Point(3))), Colour.RED, typing.get_type_hints(Point))
"""
    assert (await pool.run(code)).stdout == "Point(x=3) Colour.RED {'x': <class 'int'>}\n"


async def test_chance_is_the_same_in_every_run_and_follows_the_seed() -> None:
    code = "import random\nprint(random.random(), hash('a'), list({'x', 'y', 'z'}))"
    outputs = []
    for seed in (0, 0, 1):
        async with SandboxPool(replace(BARE, seed=seed)) as pool:
            outputs += [(await pool.run(code)).stdout, (await pool.run(code)).stdout]
    assert len(set(outputs[:4])) == 1
    assert outputs[4] == outputs[5] != outputs[0]


async def test_image_without_packages_still_works() -> None:
    async with SandboxPool(replace(BARE, image=("nonesuch",), importable=())) as pool:
        assert (await pool.run("import math\nprint(math.pi)")).stdout == "3.141592653589793\n"
        missing = await pool.run("import sympy")
        assert missing.error == "ModuleNotFoundError: No module named 'sympy'"


async def test_importable_package_may_be_imported_late() -> None:
    async with SandboxPool(replace(BARE, importable=("sympy",))) as pool:
        outcome = await pool.run("import sympy\nprint(sympy.sqrt(8))")
        assert (outcome.stdout, outcome.error) == ("2*sqrt(2)\n", None)


async def test_deadline_is_kept_from_outside(pool) -> None:
    overshoots = []
    for code in (SPIN, "import time\ntime.sleep(60)", "import re\nre.match('(a+)+$', 'a'*60+'b')"):
        for _ in range(3):
            began = time.monotonic()
            outcome = await pool.run(code, deadline=0.3)
            overshoots.append(time.monotonic() - began - 0.3)
            assert outcome.status is Status.TIMEOUT
    assert min(overshoots) < 0.1  # what the design costs; the rest is the machine's load
    assert max(overshoots) < 5


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan"), 1e9])
async def test_impossible_deadline_is_a_callers_mistake(pool, seconds: float) -> None:
    with pytest.raises(ConfigError, match="deadline"):
        await pool.run("1", deadline=seconds)


async def test_no_more_than_workers_at_a_time() -> None:
    async with SandboxPool(replace(BARE, workers=2)) as pool:
        most = 0

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, len(pool._server._calls))
                await anyio.sleep(0.005)

        async with anyio.create_task_group() as watching:
            watching.start_soon(watch)
            async with anyio.create_task_group() as tasks:
                for _ in range(8):
                    tasks.start_soon(pool.run, "import time\ntime.sleep(0.05)")
            watching.cancel_scope.cancel()
        assert most == 2


async def test_loop_stays_free_while_snippets_spin(pool) -> None:
    ticks = 0
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(pool.run, SPIN)
        with anyio.move_on_after(0.6):
            while True:
                await anyio.sleep(0.01)
                ticks += 1
        tasks.cancel_scope.cancel()
    assert ticks >= 5


async def test_cancelled_snippet_is_killed(pool, processes, eventually) -> None:
    before = processes()
    with anyio.move_on_after(0.2) as scope:
        await pool.run("import time\ntime.sleep(60)", deadline=60)
    assert scope.cancelled_caught
    assert eventually(lambda: processes() <= before)
    assert (await pool.run("print(1)")).ok


async def test_cancellation_storm_leaves_nothing_behind(pool, processes, probe, eventually) -> None:
    await probe(pool)
    before, open_before = processes(), descriptors()
    chance = random.Random(7)

    async def one() -> None:
        with anyio.move_on_after(chance.random() * 0.05):
            await pool.run(chance.choice((SPIN, "print(1)", "import time\ntime.sleep(9)")))

    async with anyio.create_task_group() as tasks:
        for _ in range(150):
            tasks.start_soon(one)
    assert eventually(lambda: processes() <= before)
    assert descriptors() == open_before
    assert not pool._server._calls
    assert pool._places.borrowed_tokens == 0
    await probe(pool)


async def test_dead_zygote_is_replaced_and_its_snippets_get_a_second_chance() -> None:
    async with SandboxPool(BARE) as pool:
        outcomes = []

        async def one() -> None:
            outcomes.append(await pool.run("import time\ntime.sleep(0.5)\nprint('done')"))

        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(one)
            await anyio.sleep(0.2)
            old = zygote_of(pool)
            os.kill(old, 9)
        assert [outcome.stdout for outcome in outcomes] == ["done\n"] * 2
        assert pool.counters.crashed == 2
        assert pool.counters.restarts == 1
        assert zygote_of(pool) != old


async def test_snippet_that_loses_its_zygote_twice_is_reported(eventually, processes) -> None:
    before = processes()
    async with SandboxPool(BARE) as pool:

        async def killer() -> None:
            while True:
                await anyio.sleep(0.05)
                if pool._server is not None and pool._server._calls:
                    pool._server.kill()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(killer)
            outcome = await pool.run("import time\ntime.sleep(20)")
            tasks.cancel_scope.cancel()
        assert outcome.status is Status.CRASHED
        assert (await pool.run("print('alive')")).stdout == "alive\n"
    assert eventually(lambda: processes() <= before)


async def test_pool_survives_a_zygote_killed_again_and_again(eventually, processes) -> None:
    before, open_before = processes(), descriptors()
    async with SandboxPool(BARE) as pool:
        for turn in range(5):
            await kill_zygote(pool)
            assert (await pool.run(f"print({turn})")).stdout == f"{turn}\n"
        assert pool.counters.restarts == 5
    assert eventually(lambda: processes() <= before)
    assert descriptors() == open_before


async def test_zygote_that_cannot_be_revived_is_an_error_and_not_a_hang(monkeypatch) -> None:
    async with SandboxPool(BARE) as pool:
        monkeypatch.setattr("tts.sandbox.forkserver._PROGRAM", Path("/nonexistent"))
        await kill_zygote(pool)
        with pytest.raises(SandboxError, match="did not start"):
            await pool.run("print(1)")


async def test_hung_zygote_is_noticed(monkeypatch) -> None:
    monkeypatch.setattr("tts.sandbox.forkserver._GRACE_SECONDS", 0.3)
    off = frozenset({"namespaces"})  # so that the process we know is the zygote itself
    async with SandboxPool(replace(BARE, disabled_layers=off)) as pool:
        os.kill(zygote_of(pool), 19)
        outcome = await pool.run("print(1)", deadline=0.3)
        assert outcome.status is Status.TIMEOUT
        assert (await pool.run("print(2)")).stdout == "2\n"


async def test_records_survive_a_stream_where_there_is_no_seqpacket(monkeypatch) -> None:
    monkeypatch.setattr("tts.sandbox.zygote.wire.socket_pair", socket.socketpair)
    async with SandboxPool(BARE) as pool:
        outcomes = []

        async def one(number: int) -> None:
            outcomes.append((await pool.run(f"print({number})")).stdout)

        async with anyio.create_task_group() as tasks:
            for number in range(40):
                tasks.start_soon(one, number)
        assert sorted(outcomes) == sorted(f"{number}\n" for number in range(40))
        await kill_zygote(pool)
        assert (await pool.run("print('again')")).stdout == "again\n"


def test_text_travels_in_plain_files_where_there_are_no_anonymous_ones(monkeypatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(sys, "platform", "darwin")
        file = anonymous.create(b"abcdef")
    try:
        assert anonymous.contents(file, 6) == (b"abcdef", False)
        assert anonymous.contents(file, 3) == (b"abc", True)
        assert anonymous.contents(file, 3, start=2) == (b"cde", True)
        assert anonymous.contents(file, 9, start=4) == (b"ef", False)
        assert anonymous.contents(file, 9, start=2**40) == (b"", False)
    finally:
        os.close(file)


async def test_closed_pool_says_so_and_leaves_no_process(processes, eventually) -> None:
    before, open_before = processes(), descriptors()
    pool = SandboxPool(BARE)
    with pytest.raises(SandboxError, match="not open"):
        await pool.run("1")
    async with pool:
        assert (await pool.run("print(1)")).ok
    with pytest.raises(SandboxError, match="not open"):
        await pool.run("1")
    assert eventually(lambda: processes() <= before)
    assert descriptors() == open_before


async def test_body_that_fails_closes_the_pool(processes, eventually) -> None:
    before = processes()
    with pytest.raises(KeyError):
        async with SandboxPool(BARE):
            raise KeyError
    with anyio.move_on_after(0.2):
        async with SandboxPool(BARE):
            await anyio.sleep(60)
    assert eventually(lambda: processes() <= before)


@pytest.mark.parametrize("off", [frozenset(), frozenset({"namespaces"})])
def test_nothing_outlives_an_engine_that_is_killed(off, processes, eventually) -> None:
    before = processes()
    program = f"""
import anyio
from tts.sandbox import SandboxPool, SandboxConfig
async def main():
    config = SandboxConfig(image=(), workers=2, disabled_layers=frozenset({sorted(off)!r}))
    async with SandboxPool(config) as pool, anyio.create_task_group() as tasks:
        tasks.start_soon(pool.run, "while True: pass")
        await anyio.sleep(0.5)
        print("ready", flush=True)
        await anyio.sleep(60)
anyio.run(main)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment()
    ) as engine:
        assert engine.stdout is not None
        assert engine.stdout.readline() == b"ready\n"
        assert processes() > before
        engine.kill()
    assert eventually(lambda: processes() <= before)


async def test_hundreds_of_snippets_leak_neither_descriptors_nor_processes(pool) -> None:
    await soak(pool, 400)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_ten_thousand_snippets_leak_neither_descriptors_nor_processes(pool) -> None:
    await soak(pool, 10_000)


async def soak(pool: SandboxPool, count: int) -> None:
    kinds = ("print(1)", "1/0", "import os\nos._exit(1)", "import ctypes\nctypes.string_at(0)")
    await pool.run("print(1)")
    open_before, alive_before = descriptors(), children_of(os.getpid())
    limit = anyio.CapacityLimiter(8)
    statuses = []

    async def one(code: str) -> None:
        async with limit:
            statuses.append((await pool.run(code, deadline=60)).status)

    async with anyio.create_task_group() as tasks:
        for turn in range(count):
            tasks.start_soon(one, kinds[turn % 4])
    assert statuses.count(Status.OK) == count // 4
    assert statuses.count(Status.ERROR) == count // 4
    assert statuses.count(Status.KILLED) == count // 2
    assert descriptors() == open_before
    assert children_of(os.getpid()) <= alive_before
    assert all(open_files(pid) < 12 for pid in alive_before)


def test_importing_the_package_is_cheap() -> None:
    program = """
import sys, tts
before = set(sys.modules)
import tts.sandbox
new = {name.partition(".")[0] for name in set(sys.modules) - before}
assert not new & {"anyio", "asyncio", "numpy", "sympy", "subprocess"}, new
import tts.sandbox as sandbox
assert sandbox.SandboxPool.__name__ == "SandboxPool"
assert all(getattr(sandbox, name) for name in sandbox.__all__)
try:
    sandbox.nonesuch
except AttributeError as error:
    assert "nonesuch" in str(error)
else:
    raise SystemExit("no error")
"""
    subprocess.run([sys.executable, "-c", program], env=environment(), check=True)


def test_zygote_imports_only_the_standard_library() -> None:
    import ast

    folder = Path(__file__).parents[2] / "tts" / "sandbox" / "zygote"
    allowed = set(sys.stdlib_module_names) | {"tts_zygote"}
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                assert {alias.name.partition(".")[0] for alias in node.names} <= allowed, file
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                assert str(node.module).partition(".")[0] in allowed, file
