"""Fake: a scripted engine for tests and for measuring the orchestrator. It knows no model.

Its tokens are characters, and its "weights" are a function from the text so far and a seed to the
rest of the answer. Latency and faults are functions too, so that stragglers, dying servers and
virtual clocks can be scripted.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

import anyio

from tts.backends.base import (
    Dialect,
    Ending,
    Generation,
    ModelInfo,
    Request,
    Sample,
)
from tts.budget.meter import Meter
from tts.errors import Overlong, Unavailable
from tts.types import Cost

Script = Callable[[str, int], str]
"""From the text so far and a seed to the rest of the answer, all of it."""

EOS_ID = 0
_EOS = chr(EOS_ID)
_READY = "-> "
"""Ends a conversation: what follows is the answer."""


def ramble(text: str, seed: int) -> str:
    """The default script: two to five steps in all, then one of four answers."""
    chance = random.Random(seed)
    steps = text.count("\n\n")
    lines = [f"{chance.randrange(100)} is next" for _ in range(chance.randint(2, 5) - steps)]
    return "\n\n".join([*lines, f"The answer is \\boxed{{{chance.randrange(4)}}}."])


class Characters:
    """A tokenizer whose tokens are Unicode code points; 0 ends a sample."""

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(map(ord, text))

    def decode(self, token_ids: Sequence[int]) -> str:
        return "".join(map(chr, token_ids)).replace(_EOS, "")

    def chat(self, messages: Sequence[Mapping[str, str]]) -> tuple[int, ...]:
        return self.encode("".join(f"{m['role']}: {m['content']}\n" for m in messages) + _READY)


class FakeBackend:
    """An engine that reads its answers from a script."""

    def __init__(
        self,
        script: Script = ramble,
        *,
        delay: Callable[[Request, int], float] | None = None,
        fault: Callable[[Request], Exception | None] | None = None,
        parameters: int = 1000,
        context_tokens: int = 100_000,
    ) -> None:
        """`delay` gives seconds for a request and a seed; `fault` an error to raise, or None."""
        self._script = script
        self._delay = delay
        self._fault = fault
        self._closed = False
        self._model = ModelInfo(
            "fake",
            parameters,
            context_tokens,
            eos_ids=(EOS_ID,),
            dialect=Dialect(user="{problem}", step_tokens=64, answer_tokens=400),
        )
        self.in_flight = 0
        """Requests being served now."""
        self.served = 0
        """Requests served to the end."""

    @property
    def model(self) -> ModelInfo:
        return self._model

    @property
    def tokenizer(self) -> Characters:
        return Characters()

    async def generate(self, request: Request, meter: Meter) -> Generation:
        if self._closed:
            raise Unavailable("the fake engine is closed")
        room = self._model.context_tokens - len(request.prompt)
        if room < 1:
            raise Overlong(
                f"the prompt takes {len(request.prompt)} of {self._model.context_tokens}"
            )
        self.in_flight += 1
        try:
            with meter.call(request.bound) as reading:
                if self._delay is not None:
                    await anyio.sleep(max(self._delay(request, seed) for seed in request.seeds))
                if self._fault is not None and (error := self._fault(request)) is not None:
                    reading.cost = Cost(calls=1)
                    raise error
                samples = tuple(self._sample(request, seed, room) for seed in request.seeds)
                reading.cost = Cost(
                    prompt_tokens=len(request.prompt),
                    output_tokens=sum(len(sample.token_ids) for sample in samples),
                    samples=len(samples),
                    calls=1,
                )
        finally:
            self.in_flight -= 1
        self.served += 1
        return Generation(samples, reading.cost)

    async def aclose(self) -> None:
        self._closed = True

    def _sample(self, request: Request, seed: int, room: int) -> Sample:
        prompt = self.tokenizer.decode(request.prompt)
        begun = prompt.rpartition(_READY)[2]  # all of it, if it is no conversation
        text = self._script(begun, seed) + _EOS
        ending = Ending.EOS
        for stop in (*request.stop, *map(chr, request.stop_ids)):
            before, found, _ = text.partition(stop)
            if found:
                text, ending = before + found, Ending.STOP
        if len(text) > (most := min(request.max_tokens, room)):
            text, ending = text[:most], Ending.LENGTH
        ids = self.tokenizer.encode(text)
        logprobs = (-0.01 * (1 + seed % 13),) * len(ids)
        first = tuple(-1.0 - 0.001 * id for id in request.logprob_ids)
        return Sample(ids, text.replace(_EOS, ""), sum(logprobs), ending, first, logprobs)


def open_fake(location: str) -> FakeBackend:
    """The backend `fake`: the default script, whatever the location."""
    return FakeBackend()
