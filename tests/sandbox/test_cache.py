"""Identical snippets run once; what depends on the moment is never remembered."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from tts.sandbox import SandboxConfig, SandboxPool, Status
from tts.sandbox.cache import Cache, Counters, key, shareable
from tts.sandbox.outcome import Outcome

pytestmark = pytest.mark.anyio
BARE = SandboxConfig(image=(), workers=2, deadline_seconds=30)


async def test_identical_snippets_run_once() -> None:
    async with SandboxPool(BARE) as pool:
        first = await pool.run("print(6 * 7)")
        second = await pool.run("print( 6*7 )  # the same tree")
        assert (first.cached, second.cached) == (False, True)
        assert replace(second, cached=False) == first
        assert pool.counters.run == 1
        assert pool.counters.remembered == 1
        error = await pool.run("1/0")
        assert (await pool.run("1/0")) == replace(error, cached=True)


async def test_identical_snippets_in_flight_run_once() -> None:
    async with SandboxPool(BARE) as pool:
        outcomes = []

        async def one() -> None:
            outcomes.append(await pool.run("print(sum(range(10**6)))"))

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(one)
        assert {outcome.stdout for outcome in outcomes} == {"499999500000\n"}
        assert pool.counters.run == 1
        assert pool.counters.coalesced == 4


async def test_waiter_takes_over_from_a_cancelled_run() -> None:
    async with SandboxPool(BARE) as pool:
        code = "x = 0\nfor i in range(10**7):\n    x += 1\nprint(x)"
        outcomes = []

        async def second() -> None:
            outcomes.append(await pool.run(code))

        async with anyio.create_task_group() as tasks:
            with anyio.move_on_after(0.1):
                tasks.start_soon(second)  # starts when the first one waits
                await pool.run(code)
        assert [outcome.stdout for outcome in outcomes] == ["10000000\n"]
        assert pool.counters.run == 2 - outcomes[0].cached


async def test_timeouts_and_kills_are_not_remembered() -> None:
    async with SandboxPool(BARE) as pool:
        for code in ("while True:\n    pass", "import os\nos._exit(1)"):
            for _ in range(2):
                assert not (await pool.run(code, deadline=0.2)).cached
        assert pool.counters.run == 4


async def test_everyone_in_flight_shares_a_timeout() -> None:
    async with SandboxPool(BARE) as pool:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for _ in range(30):
                    tasks.start_soon(lambda: pool.run("while True:\n    pass", deadline=0.5))
        assert pool.counters.run == 1


async def test_cache_can_be_off() -> None:
    async with SandboxPool(replace(BARE, cache_entries=0)) as pool:
        assert [(await pool.run("print(1)")).cached for _ in range(2)] == [False, False]


async def test_oldest_entry_leaves_first() -> None:
    cache = Cache(2, Counters())
    runs = []

    async def get(name: str) -> None:
        async def run() -> Outcome:
            runs.append(name)
            return Outcome(Status.OK)

        await cache.get(name, run)

    for name in ("a", "b", "a", "c", "a", "b"):
        await get(name)
    assert runs == ["a", "b", "c", "b"]


async def test_failed_run_is_not_shared() -> None:
    cache = Cache(2, Counters())

    async def fail() -> Outcome:
        raise KeyError

    async def run() -> Outcome:
        return Outcome(Status.OK)

    with pytest.raises(KeyError):
        await cache.get("a", fail)
    assert not (await cache.get("a", run)).cached


def test_key_tells_apart_what_must_differ() -> None:
    base = key("print(1)", (), "limits")
    assert base == key("print(1) # comment", (), "limits")
    different = [
        key("print(2)", (), "limits"),
        key("print(1)", ("x = 1",), "limits"),
        key("print(1)", (), "other limits"),
        key("print('1')", (), "limits"),
        key("", ("print(1)",), "limits"),
        key("print(1", (), "limits"),
        key("print(1)\0", (), "limits"),
        key("'\ud800'", (), "limits"),
        key("x" * 100_000, (), "limits"),
    ]
    assert len({base, *different}) == len(different) + 1
    assert key("a", ("b", "c"), "") != key("a", ("bc",), "") != key("b", ("a", "c"), "")


@pytest.mark.parametrize(
    "code",
    """
    import time; from datetime import datetime; uuid.uuid4(); os.urandom(3); secrets.token_hex()
    os.getpid(); id(x); np.random.default_rng(); print(object()); random.SystemRandom()
    """.replace("\n", ";").split(";"),
)
def test_volatile_code_is_never_shared(code: str) -> None:
    assert shareable(code) == (not code.strip())


def test_ordinary_code_is_shared() -> None:
    assert shareable(
        "from sympy import *\nx = symbols('x')\nprint(solve(x**2 - 4), valid, sometimes)"
    )
