"""Memory: an engine that is asked for each sample once, and says it again for what it cost then.

Strategies that are compared on the same problems ask for many of the same samples, because seeds
come from paths. Before an engine that draws a sample from its seed alone, remembering them changes
nothing that a search can see, but for the time.
"""

from __future__ import annotations

from dataclasses import replace

from tts.backends.base import Backend, Generation, ModelInfo, Request, Sample, Tokenizer
from tts.backends.replay import sample_key
from tts.budget.meter import Meter
from tts.types import FREE, Cost


class Memory:
    """Implements `tts.backends.base.Backend`. Owns the engine behind it."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._known: dict[str, tuple[Sample, Cost]] = {}

    @property
    def model(self) -> ModelInfo:
        return self._backend.model

    @property
    def tokenizer(self) -> Tokenizer:
        return self._backend.tokenizer

    async def generate(self, request: Request, meter: Meter) -> Generation:
        keys = [sample_key(request, seed) for seed in request.seeds]
        new = tuple(
            seed for seed, key in zip(request.seeds, keys, strict=True) if key not in self._known
        )
        if new:
            # What a remembered sample cost is paid again, so the engine's bill is kept from ours.
            asked = replace(request, seeds=new)
            with meter.call(request.bound) as reading:
                generation = await self._backend.generate(asked, Meter())
                self._learn(asked, generation)
                reading.cost = FREE
        with meter.call(request.bound) as reading:
            found = [self._known[key] for key in keys]
            reading.cost = _together(request, [cost for _, cost in found])
        return Generation(tuple(sample for sample, _ in found), reading.cost)

    async def aclose(self) -> None:
        await self._backend.aclose()

    def _learn(self, request: Request, generation: Generation) -> None:
        for seed, sample in zip(request.seeds, generation.samples, strict=True):
            cost = replace(generation.cost, output_tokens=len(sample.token_ids), samples=1, calls=1)
            self._known.setdefault(sample_key(request, seed), (sample, cost))


def _together(request: Request, costs: list[Cost]) -> Cost:
    """One request for them all: its prompt once, of which the engine had what it had at best."""
    return Cost(
        prompt_tokens=max(cost.prompt_tokens for cost in costs),
        cached_tokens=min(cost.cached_tokens for cost in costs),
        output_tokens=sum(cost.output_tokens for cost in costs),
        samples=len(request.seeds),
        calls=1,
    )
