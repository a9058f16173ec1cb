"""What needs no image is forked from a twin without it, confined and looked after like the rest."""

import os
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from tts.sandbox import SandboxConfig, SandboxPool, Status
from tts.sandbox.plainness import plainness
from tts.sandbox.zygote.birth import Layers

pytestmark = pytest.mark.anyio
SMALL = SandboxConfig(workers=2, deadline_seconds=60, cache_entries=0, image=("mpmath",))
LOADED = "import sys\nprint('mp' + 'math' in sys.__dict__['mod' + 'ules'])"
NAP = "import time\ntime.sleep(0.5)\nprint('done')"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["print(85 * 3 == 265)"], True),
        (["from math import sqrt\nprint(sqrt(2))"], True),
        (["from sympy import *"], False),
        (["import scipy.optimize"], False),
        (["from sympy import sqrt", "print(sqrt(2))"], False),
        (["__import__('sym' + 'py')"], False),
        (["exec('import ' + name)"], False),
    ],
)
def test_what_may_mean_a_package_is_not_plain(texts: list[str], expected: bool) -> None:
    assert plainness(["sympy", "numpy", "scipy.optimize"])(texts) is expected


async def test_only_what_names_the_image_finds_it_loaded() -> None:
    async with SandboxPool(SMALL) as pool:
        assert (await pool.run(LOADED)).stdout == "False\n"
        assert (await pool.run(f"{LOADED}  # mpmath")).stdout == "True\n"
        hidden = "__builtins__['__imp' + 'ort__']('mp' + 'math')"
        assert (await pool.run(f"print({hidden}.mpf(2) ** 10)")).stdout == "1024.0\n"


async def test_plain_snippets_are_cancelled_and_keep_their_deadlines(processes, eventually) -> None:
    async with SandboxPool(SMALL) as pool:
        before = processes()
        with anyio.move_on_after(0.3):
            await pool.run("while True:\n    pass")
        assert eventually(lambda: processes() <= before)
        assert (await pool.run("while True:\n    pass", deadline=0.3)).status is Status.TIMEOUT
        assert pool.counters.restarts == 0


def youngest(pid: int) -> int:
    """Of a line of processes with one child each: with nothing running that is the twin."""
    while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        (pid,) = map(int, children)
    return pid


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for children in /proc")
async def test_a_twin_that_dies_is_replaced_with_its_zygote(processes, eventually) -> None:
    before = processes()
    async with SandboxPool(SMALL) as pool:
        assert pool._server is not None
        victim = youngest(pool._server._process.pid)
        outcomes = []

        async def nap() -> None:
            outcomes.append(await pool.run(NAP))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(nap)
            await anyio.sleep(0.2)
            os.kill(victim, 9)
        assert [outcome.stdout for outcome in outcomes] == ["done\n"]
        assert (pool.counters.crashed, pool.counters.restarts) == (1, 1)
    assert eventually(lambda: processes() <= before)


async def test_a_dead_zygote_takes_its_twin_along(processes, eventually) -> None:
    before = processes()
    async with SandboxPool(replace(SMALL, disabled_layers=frozenset({"namespaces"}))) as pool:
        assert pool._server is not None
        old = processes()
        pool._server.kill()
        assert (await pool.run("print(1)")).stdout == "1\n"
        assert eventually(lambda: not old - before & processes())
        assert pool.counters.restarts == 1
    assert eventually(lambda: processes() <= before)


def test_a_layer_holds_only_if_it_does_in_both() -> None:
    layers = Layers([])
    layers.report = {"seccomp": (True, "x86_64"), "landlock": (True, "ABI 7")}
    assert layers.of_both() == layers.report
    layers.twin = {"seccomp": (True, "x86_64"), "landlock": (False, "no")}
    assert layers.of_both() == {"seccomp": (True, "x86_64"), "landlock": (False, "no")}
