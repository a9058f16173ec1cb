"""An engine that remembers: what it gives is what its engine gave, asked once."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile
from operator import eq

import pytest

from tts.backends.base import Generation, Request
from tts.backends.fake import FakeBackend
from tts.backends.memory import Memory
from tts.budget.meter import Meter
from tts.errors import Unavailable
from tts.types import FREE, Cost

BLOCK = 4

pytestmark = pytest.mark.anyio


class Counting(FakeBackend):
    """Counts the samples that it is asked for."""

    drawn = 0

    async def generate(self, request: Request, meter: Meter) -> Generation:
        self.drawn += len(request.seeds)
        return await super().generate(request, meter)


def alike(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """How many of their first tokens are the same."""
    return len([*takewhile(bool, map(eq, one, other))])


class Caching(FakeBackend):
    """Has every prompt that it ever read, in blocks, but for its last token."""

    def __init__(self) -> None:
        super().__init__()
        self._read: list[tuple[int, ...]] = []

    async def generate(self, request: Request, meter: Meter) -> Generation:
        prompt = request.prompt[:-1]
        known = max((alike(prompt, each) for each in self._read), default=0)
        self._read.append(prompt)
        generation = await super().generate(request, Meter())
        cost = replace(generation.cost, cached_tokens=known // BLOCK * BLOCK)
        with meter.call(request.bound) as reading:
            reading.cost = cost
        return replace(generation, cost=cost)


def asked(backend: FakeBackend, *seeds: int) -> Request:
    return Request(backend.tokenizer.encode("What is 6 times 7?"), 40, seeds=seeds)


def asked_of(problem: int, seed: int) -> Request:
    prompt = FakeBackend().tokenizer.encode(f"What is 6 times {problem}?")
    return Request(prompt, 40, seeds=(seed,))


async def test_a_sample_is_drawn_once_and_paid_for_each_time() -> None:
    engine = Counting()
    memory, meters = Memory(engine), [Meter(), Meter()]
    first = await memory.generate(asked(engine, 1, 2), meters[0])
    memory.anew()
    second = await memory.generate(asked(engine, 1, 2), meters[1])
    assert engine.drawn == 2
    assert first.samples == second.samples
    assert meters[0].cost == meters[1].cost == first.cost
    assert first.cost.output_tokens == sum(len(each.token_ids) for each in first.samples)


async def test_it_gives_what_its_engine_gives_however_requests_overlap() -> None:
    engine = Counting()
    memory = Memory(engine)
    alone = await FakeBackend().generate(asked(engine, 1, 2, 3), Meter())
    await memory.generate(asked(engine, 2), Meter())
    meter = Meter()
    together = await memory.generate(asked(engine, 1, 2, 3), meter)
    assert together.samples == alone.samples
    assert engine.drawn == 3
    assert meter.cost.output_tokens == alone.cost.output_tokens


async def test_another_temperature_is_another_sample() -> None:
    engine = Counting()
    memory, request = Memory(engine), asked(engine, 1)
    await memory.generate(request, Meter())
    await memory.generate(replace(request, priority=3), Meter())
    assert engine.drawn == 1
    sampling = replace(request.sampling, temperature=0.5)
    await memory.generate(replace(request, sampling=sampling), Meter())
    assert engine.drawn == 2


async def bill(memory: Memory, request: Request) -> Cost:
    meter = Meter()
    await memory.generate(request, meter)
    return meter.cost


async def test_a_search_pays_for_a_prompt_that_only_others_asked_for_before() -> None:
    engine = Caching()
    memory, prompt = Memory(engine), len(asked(engine, 1).prompt)
    first = await bill(memory, asked(engine, 1))
    second = await bill(memory, asked(engine, 2))
    assert (first.cached_tokens, first.prompt_tokens) == (0, prompt)
    assert 0 < second.cached_tokens < prompt
    memory.anew()
    others = [await bill(memory, asked(engine, seed)) for seed in (3, 1, 4)]
    had = second.cached_tokens
    assert [each.cached_tokens for each in others] == [0, had, had]


async def test_what_the_same_search_had_computed_is_cached_as_far_as_the_engine_has_it() -> None:
    engine = Caching()
    memory, request = Memory(engine), asked(engine, 1)
    await engine.generate(request, Meter())
    had = (await engine.generate(request, Meter())).cost.cached_tokens
    assert had > 4
    assert (await bill(memory, replace(request, known=4))).cached_tokens == 4
    memory.anew()
    more = await bill(memory, replace(request, known=len(request.prompt) - 1))
    assert more.cached_tokens == had
    assert more.new_tokens == 1 + more.output_tokens


async def test_the_same_requests_cost_the_same_whoever_else_asks() -> None:
    """In any order of searches, and with or without others that share the start of a prompt."""
    searches = [[asked_of(n, seed) for seed in (n, n + 1)] for n in range(4)]

    async def bills(order: list[int]) -> dict[int, list[Cost]]:
        memory = Memory(Caching())
        return {n: [await bill(memory, each) for each in searches[n]] for n in order}

    whole = await bills([0, 1, 2, 3])
    assert whole == await bills([3, 1, 0, 2])
    assert [(await bills([n]))[n] for n in range(4)] == [whole[n] for n in range(4)]


async def test_what_the_engine_did_not_begin_costs_nothing() -> None:
    class Gone(FakeBackend):
        async def generate(self, request: Request, meter: Meter) -> Generation:
            raise Unavailable("it cannot be reached")

    memory, meter = Memory(Gone()), Meter()
    with pytest.raises(Unavailable):
        await memory.generate(asked(FakeBackend(), 1), meter)
    assert meter.cost == FREE
