"""The backend: an event loop that never waits, threads that end, costs that are exact."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import numpy as np
import pytest

from tts.backends.base import Backend, Generation, Request
from tts.budget.meter import Meter
from tts.errors import BackendError, ConfigError, Overlong, Unavailable
from tts.testing import BackendContract
from tts.types import FREE, Cost
from tts_nano import NanoBackend, open_nano
from tts_nano.engine import Engine

pytestmark = pytest.mark.anyio


class TestShipped(BackendContract):
    @pytest.fixture
    def backend(self) -> Iterator[Backend]:  # type: ignore[override]
        opened = open_nano()
        yield opened
        opened._worker.close()


@pytest.fixture
async def nano(tiny: Path) -> AsyncIterator[NanoBackend]:
    backend = NanoBackend.load(tiny, max_batch=8)
    yield backend
    await backend.aclose()
    assert not [each for each in threading.enumerate() if each.name == "tts-nano"]
    backend._worker._engine.check_idle()


def prompt_of(length: int, seed: int = 0) -> tuple[int, ...]:
    return tuple(np.random.default_rng(seed).integers(3, 259, length).tolist())


async def test_storms_of_cancellations_leave_nothing_and_book_all(nano: NanoBackend) -> None:
    random = np.random.default_rng(0)
    meters: list[tuple[Request, Meter]] = []

    async def ask(number: int) -> None:
        prompt = prompt_of(200, number % 3)[: int(random.integers(1, 200))]
        request = Request(prompt, 200, tuple(range(1 + number % 4)))
        meter = Meter()
        meters.append((request, meter))
        with anyio.move_on_after(float(random.random()) * 0.2):
            await nano.generate(request, meter)

    async with anyio.create_task_group() as group:
        for number in range(120):
            group.start_soon(ask, number)
            if number % 7 == 0:
                await anyio.sleep(0.01)
    for request, meter in meters:
        assert meter.cost.calls == 1
        assert meter.cost.cached_tokens <= meter.cost.prompt_tokens <= len(request.prompt)
        assert meter.cost.output_tokens <= request.bound.output_tokens
    again = await nano.generate(Request(prompt_of(10), 5), Meter())
    assert len(again.samples[0].token_ids) >= 1


async def test_a_task_that_is_cancelled_has_booked_when_it_ends(nano: NanoBackend) -> None:
    meter = Meter()
    request = Request(prompt_of(300), 200, tuple(range(8)))
    task = asyncio.ensure_future(nano.generate(request, meter))
    while not nano._worker._engine._batch.rows:  # noqa: ASYNC110 (the engine tells nobody)
        await anyio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert meter.cost.prompt_tokens == 300
    assert 8 <= meter.cost.output_tokens < 8 * 200
    assert meter.cost != request.bound


async def test_closing_fails_what_is_in_flight(nano: NanoBackend) -> None:
    failures: list[tuple[Exception, Cost]] = []

    async def ask(seed: int) -> None:
        meter = Meter()
        try:
            await nano.generate(Request(prompt_of(20), 480, (seed,)), meter)
        except Unavailable as error:
            failures.append((error, meter.cost))

    async with anyio.create_task_group() as group:
        for seed in range(20):
            group.start_soon(ask, seed)
        await anyio.sleep(0.01)
        await nano.aclose()
    assert failures
    assert all(cost.output_tokens < 480 for _, cost in failures)
    meter = Meter()
    with pytest.raises(Unavailable, match="closed"):
        await nano.generate(Request(prompt_of(3), 1), meter)
    assert meter.cost == FREE


async def test_a_crash_reaches_everybody_and_hangs_nobody(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = NanoBackend.load(tiny)
    steps = 0
    whole = Engine.step

    def fail(engine: Engine) -> object:
        nonlocal steps
        steps += 1
        if steps > 3:
            raise MemoryError("no more")
        return whole(engine)

    monkeypatch.setattr(Engine, "step", fail)
    caught: list[BackendError] = []
    request = Request(prompt_of(9), 300)

    async def ask() -> None:
        meter = Meter()
        try:
            await backend.generate(request, meter)
        except BackendError as error:
            caught.append(error)
            assert meter.cost in (FREE, request.bound)  # before or after the crash

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for _ in range(30):
                group.start_soon(ask)
        assert len(caught) == 30
        assert "MemoryError: no more" in str(caught[0])
        with pytest.raises(Unavailable, match="died"):
            await backend.generate(request, Meter())
        await backend.aclose()


async def test_the_event_loop_is_not_held_up(nano: NanoBackend) -> None:
    late: list[float] = []
    finished = False

    async def watch() -> None:
        while not finished:
            before = time.thread_time()
            await anyio.sleep(0.002)
            late.append(time.thread_time() - before)

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await nano.generate(Request(prompt_of(400), 100, tuple(range(8))), Meter())
        finished = True
    assert len(late) > 3
    assert max(late) < 0.05  # of this thread's own time: nothing was computed in it


async def test_a_loop_is_woken_once_for_all_that_finish_together(
    nano: NanoBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    calls: list[int] = []
    real = loop.call_soon_threadsafe

    def count(callback: object, *args: object) -> object:
        if "_settle" in getattr(callback, "__name__", ""):
            calls.append(len(args[0]))  # type: ignore[arg-type]
        return real(callback, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_soon_threadsafe", count)
    replies: list[Generation] = []

    async def ask(seed: int) -> None:
        replies.append(await nano.generate(Request(prompt_of(30), 20, (seed,)), Meter()))

    async with anyio.create_task_group() as group:
        for seed in range(8):
            group.start_soon(ask, seed)
    lengths = {len(reply.samples[0].token_ids) for reply in replies}
    assert sum(calls) == 8
    assert len(calls) <= len(lengths) + 1  # the first may have started a step earlier


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (Request((), 5), ConfigError),
        (Request((300,), 5), ConfigError),
        (Request((-1,), 5), ConfigError),
        (Request((3,), 5, stop_ids=(1000,)), ConfigError),
        (Request((3,), 5, logprob_ids=(1000,)), ConfigError),
        (Request((3,), 0), ConfigError),
        (Request((3,), 5, seeds=()), ConfigError),
        (Request((3,) * 512, 1), Overlong),
    ],
)
async def test_what_cannot_be_served_is_refused_at_once(
    nano: NanoBackend, request_: Request, error: type[Exception]
) -> None:
    meter = Meter()
    with pytest.raises(error):
        await nano.generate(request_, meter)
    assert meter.cost == FREE


def test_one_backend_serves_one_loop_after_another(tiny: Path) -> None:
    backend = NanoBackend.load(tiny)
    request = Request(prompt_of(12), 8)
    first = anyio.run(backend.generate, request, Meter())
    second = anyio.run(backend.generate, request, Meter())
    assert first.samples == second.samples
    anyio.run(backend.aclose)


def test_importing_the_package_loads_neither_numpy_nor_tokenizers() -> None:
    code = "import sys, tts_nano; print('numpy' in sys.modules, 'tokenizers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
