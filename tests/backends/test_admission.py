"""The number of requests in flight follows the engine; the deepest work goes first."""

import anyio
import anyio.lowlevel
import pytest

from tts.backends.base import Request
from tts.backends.remote.admission import Admission
from tts.backends.remote.backend import RemoteBackend
from tts.budget.meter import Meter
from tts.errors import ConfigError
from tts.testing.servers import Server

pytestmark = pytest.mark.anyio


async def hold(admission: Admission, order: list[str], name: str, priority: int = 0) -> None:
    async with admission.slot(priority, 1):
        order.append(name)
        await anyio.lowlevel.checkpoint()


async def test_the_deepest_goes_first_and_equals_in_order() -> None:
    admission, order = Admission(1), list[str]()
    async with anyio.create_task_group() as group:
        async with admission.slot(0, 1):
            for name, depth in (("a", 0), ("b", 3), ("c", 1), ("d", 3)):
                group.start_soon(hold, admission, order, name, depth)
            await anyio.wait_all_tasks_blocked()
            assert admission.waiting == 4
    assert order == ["b", "d", "c", "a"]


async def test_a_burst_of_refusals_halves_the_limit_once() -> None:
    admission = Admission(64)
    async with anyio.create_task_group() as group:
        busy = anyio.Event()

        async def one() -> None:
            async with admission.slot(0, 1):
                await busy.wait()

        for _ in range(40):
            group.start_soon(one)
        await anyio.wait_all_tasks_blocked()
        for _ in range(10):
            admission.shrink()
        assert admission.limit == 20  # of what was in flight
        busy.set()
    assert 20 < admission.limit < 25


async def test_the_limit_grows_back_to_where_it_began_and_no_further() -> None:
    admission = Admission(8)
    async with admission.slot(0, 1):
        admission.shrink()
        assert admission.limit == 1
    for _ in range(100):
        async with admission.slot(0, 1):
            pass
    assert admission.limit == 8


async def test_no_more_is_admitted_than_fits_the_cache() -> None:
    admission, running = Admission(100, tokens=1000), 0
    most = 0

    async def one() -> None:
        nonlocal running, most
        async with admission.slot(0, 300):
            running += 1
            most = max(most, running)
            await anyio.sleep(0.001)
            running -= 1

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(one)
    assert most == 3
    assert admission.in_flight == 0


async def test_what_is_larger_than_the_cache_goes_alone() -> None:
    admission = Admission(4, tokens=10)
    with anyio.fail_after(1):
        async with admission.slot(0, 50):
            assert admission.in_flight == 1


async def test_who_is_cancelled_while_waiting_leaves_no_hole() -> None:
    admission = Admission(1)
    async with admission.slot(0, 1):
        with anyio.move_on_after(0.01):
            async with admission.slot(5, 1):
                raise AssertionError
    assert (admission.in_flight, admission.waiting) == (0, 0)
    async with admission.slot(0, 1):
        assert admission.in_flight == 1


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="at_once=0"):
        Admission(0)


async def test_a_busy_server_is_given_less(remote: RemoteBackend, server: Server) -> None:
    from aiohttp import web

    async def refuses(_: web.Request) -> web.Response:
        return web.Response(status=503, text="The request queue is full.")

    prompt = remote.tokenizer.chat([{"role": "user", "content": "Evaluate 1 + 2."}])
    before = remote._admission.limit
    server.faults.extend([refuses] * 8)
    async with anyio.create_task_group() as group:
        for seed in range(24):
            group.start_soon(remote.generate, Request(prompt, 4, (seed,)), Meter())
    assert remote._admission.limit < before
    assert len(server.asked) == 24
