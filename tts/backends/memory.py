"""Memory: an engine that is asked for each sample once, and says it again to whoever asks.

Strategies that are compared on the same problems ask for many of the same samples, because seeds
come from paths. Before an engine that draws a sample from its seed alone, remembering them changes
nothing that a search can see, but for the time.

A search pays for what it asks as if it had the engine to itself. Nothing is cached for it but what
it asked for before, and of that what the engine really had: so a bill depends neither on who else
was there nor on the order, and a study in parts is the study as a whole.
"""

from __future__ import annotations

from array import array
from dataclasses import replace
from hashlib import blake2b

from tts.backends.base import Backend, Generation, ModelInfo, Request, Sample, Tokenizer
from tts.backends.replay import sample_key
from tts.budget.meter import Meter
from tts.types import Cost


class Memory:
    """Implements `tts.backends.base.Backend`. Owns the engine behind it."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._samples: dict[str, Sample] = {}
        self._cached: dict[bytes, int] = {}  # of a prompt, the most that the engine ever had
        self._asked: set[bytes] = set()

    @property
    def model(self) -> ModelInfo:
        return self._backend.model

    @property
    def tokenizer(self) -> Tokenizer:
        return self._backend.tokenizer

    def anew(self) -> None:
        """Whoever asks from now on is another search, also where the problem is the same."""
        self._asked.clear()

    async def generate(self, request: Request, meter: Meter) -> Generation:
        prompt = blake2b(array("q", request.prompt).tobytes(), digest_size=16).digest()
        again = prompt in self._asked
        self._asked.add(prompt)
        keys = [sample_key(request, seed) for seed in request.seeds]
        new = tuple(
            seed for seed, key in zip(request.seeds, keys, strict=True) if key not in self._samples
        )
        if new:
            # The engine's bill is not ours, but for what gave nothing.
            own = Meter()
            try:
                generation = await self._backend.generate(replace(request, seeds=new), own)
            except BaseException:
                meter.add(own)
                raise
            for seed, sample in zip(new, generation.samples, strict=True):
                self._samples.setdefault(sample_key(request, seed), sample)
            had = generation.cost.cached_tokens
            self._cached[prompt] = max(had, self._cached.get(prompt, 0))
        with meter.call(request.bound) as reading:
            samples = tuple(self._samples[key] for key in keys)
            cached = self._cached[prompt]
            reading.cost = Cost(
                prompt_tokens=len(request.prompt),
                cached_tokens=cached if again else min(cached, request.known),
                output_tokens=sum(len(sample.token_ids) for sample in samples),
                samples=len(samples),
                calls=1,
            )
        return Generation(samples, reading.cost)

    async def aclose(self) -> None:
        await self._backend.aclose()
