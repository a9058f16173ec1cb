"""Nothing in the corpus gets out of the sandbox, outlives its deadline or spoils the next one."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from tts.sandbox import SandboxPool, Status

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]
NOBODY = 65534


@pytest.mark.parametrize("kind", ["by its text", pytest.param("the other", marks=pytest.mark.slow)])
async def test_attack_is_contained(
    attack, kind, arena, pool, probe, processes, eventually, monkeypatch
) -> None:
    """In a child of the kind that its text asks for, with the image or plain, and in the other."""
    if kind == "the other":
        by_text = pool._server._plain
        monkeypatch.setattr(pool._server, "_plain", lambda texts: not by_text(texts))
    imports = kind == "the other" and re.search("import .*(sympy|numpy)", attack.code)
    deadline = 60.0 if imports else None  # a plain child has to import it first
    before = processes()
    outcome = await pool.run(arena.arm(attack.code), deadline=deadline)

    assert outcome.status in attack.statuses, outcome
    assert arena.damage(outcome) == ""
    assert outcome.wall_seconds < (deadline or 10)  # a busy machine may be late, but not by so much
    assert len(outcome.stdout.encode()) <= pool.config.output_bytes * 4  # backslashes, U+FFFD
    assert len(outcome.error or "") < 1 << 17
    assert outcome.peak_bytes < 600 << 20
    assert eventually(lambda: processes() <= before), "left a process behind"
    await probe(pool)
    assert pool.counters.restarts == 0


async def test_secret_of_a_neighbour_is_not_in_memory(attacks, arena, pool) -> None:
    scan = next(a.code for a in attacks if a.name == "interpreter_scan_memory")
    secret = "hidden = 'the tts-secret-of-a-neighbour is 7'\nprint(hidden)"
    found = await pool.run(scan, prelude=[secret])
    assert "BREACH" in found.stdout  # the scan does find what is in its own process
    assert (await pool.run(secret)).ok
    assert "BREACH" not in (await pool.run(scan)).stdout


async def test_pool_is_at_full_strength_after_them_all(attacks, arena, pool, probe) -> None:
    hard = [a for a in attacks if a.name.startswith(("interpreter", "signals", "excess"))][::3]
    async with anyio.create_task_group() as tasks:
        for attack in hard:
            tasks.start_soon(pool.run, arena.arm(attack.code))
    done = []

    async def nap() -> None:
        done.append(await pool.run("import time\ntime.sleep(0.1)\nprint('done')", deadline=60))

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(nap)
    assert [outcome.stdout for outcome in done] == ["done\n"] * 8
    await probe(pool)
    assert pool.counters.restarts == 0


def python_for_everybody() -> tuple[str, dict[str, str]]:
    """An interpreter of this version that an ordinary user can run, and how it finds packages."""
    spec = importlib.util.find_spec("anyio")
    assert spec is not None
    assert spec.origin is not None
    packages = str(Path(spec.origin).parents[1])
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/python{version}", f"/usr/local/bin/python{version}"):
        environment = {"PYTHONPATH": f"{ROOT}:{packages}", "PATH": "/usr/bin:/bin"}
        trial = [python, "-c", "import tts.sandbox.pool, sympy, numpy, pytest, hypothesis"]
        try:
            done = subprocess.run(trial, user=NOBODY, group=NOBODY, env=environment, cwd="/")
        except OSError:
            continue
        if done.returncode == 0:
            return python, environment
    pytest.skip("no interpreter with the packages that an ordinary user may run")


@pytest.mark.timeout(900)
@pytest.mark.skipif(os.getuid() != 0, reason="already an ordinary user")
def test_corpus_is_contained_for_an_ordinary_user(tmp_path_factory) -> None:
    python, environment = python_for_everybody()
    place = Path("/tmp") / f"tts-nobody-{os.getpid()}"
    place.mkdir(mode=0o700)
    os.chown(place, NOBODY, NOBODY)
    tests = f"{Path(__file__)}::test_attack_is_contained"
    try:
        done = subprocess.run(
            [python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", tests]  # noqa: RUF005
            + ["--basetemp", str(place / "base")],
            user=NOBODY, group=NOBODY, extra_groups=[], env=environment, cwd=ROOT,
            capture_output=True, text=True, timeout=600,
        )  # fmt: skip
    finally:
        subprocess.run(["rm", "-rf", str(place)], check=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


async def test_zygote_runs_as_nobody_when_root_may_become_nobody(pool: SandboxPool) -> None:
    user = next(row for row in pool.layers() if row.name == "user")
    outcome = await pool.run("import os\nprint(os.getuid())")
    assert outcome.status is Status.OK
    assert (outcome.stdout != "0\n") == user.holds
