"""An engine that remembers: what it gives is what its engine gave, asked once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tts.backends.base import Generation, Request
from tts.backends.fake import FakeBackend
from tts.backends.memory import Memory
from tts.budget.meter import Meter

pytestmark = pytest.mark.anyio


class Counting(FakeBackend):
    """Counts the samples that it is asked for."""

    drawn = 0

    async def generate(self, request: Request, meter: Meter) -> Generation:
        self.drawn += len(request.seeds)
        return await super().generate(request, meter)


def asked(backend: FakeBackend, *seeds: int) -> Request:
    return Request(backend.tokenizer.encode("What is 6 times 7?"), 40, seeds=seeds)


async def test_a_sample_is_drawn_once_and_paid_for_each_time() -> None:
    engine = Counting()
    memory, meters = Memory(engine), [Meter(), Meter()]
    first, second = [await memory.generate(asked(engine, 1, 2), meter) for meter in meters]
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
