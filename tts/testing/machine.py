"""Machine: a simulated accelerator with a fixed number of slots, on a virtual clock.

A slot decodes one sample at a time. Policy and verifier share the slots, as models on one GPU do;
whoever is deepest is served first. What it took is charged exactly, also when it is cancelled.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count

import anyio

from tts.backends.base import Generation, Request, Sample, Tokenizer
from tts.backends.fake import FakeBackend, Script, ramble
from tts.budget.meter import Meter
from tts.types import Cost, Judgement, Vote
from tts.verifier import Case, ModelInfo, Reduction, vote_seed, without_gap

Pace = Callable[[int], float]
"""Seconds a token of the sample with a given seed."""


def stragglers(seed: int) -> float:
    """A hundredth of a second; one sample in twenty takes ten times as long."""
    return 0.1 if random.Random(seed).random() < 0.05 else 0.01


def lognormal(seed: int) -> float:
    """A hundredth of a second in the median, with a coefficient of variation of 0.75."""
    return 0.01 * math.exp(random.Random(seed).gauss(0.0, math.sqrt(math.log(1 + 0.75**2))))


def at_random(text: str) -> float:
    """A number in [0, 1) that depends on the text alone."""
    return random.Random(text).random()


class Machine:
    """Slots, and how long they were busy."""

    def __init__(self, slots: int, pace: Pace = stragglers) -> None:
        self.slots = slots
        self._pace = pace
        self._busy = 0
        self._area = 0.0  # slots x seconds
        self._since = 0.0
        self._waiting: list[tuple[int, int, anyio.Event]] = []  # (-priority, arrival, its turn)
        self._arrivals = count()

    @property
    def busy_seconds(self) -> float:
        """Slots x seconds for which they were busy until now."""
        now = anyio.current_time()
        self._area += self._busy * (now - self._since)
        self._since = now
        return self._area

    @property
    def idle(self) -> bool:
        """Whether no slot is busy and nobody waits for one."""
        return not self._busy and not self._waiting

    async def decode(self, tokens: int, seed: int, priority: int, reading: Written) -> None:
        """Occupy a slot for as long as it takes to decode `tokens`."""
        async with self._slot(priority):
            begin, pace = anyio.current_time(), self._pace(seed)
            try:
                await anyio.sleep(tokens * pace)
                reading.tokens = tokens
            finally:
                # One that is cancelled has decoded what there was time for.
                done = math.floor((anyio.current_time() - begin) / pace + 1e-6)
                reading.tokens = min(tokens, max(reading.tokens, done))

    @asynccontextmanager
    async def _slot(self, priority: int) -> AsyncIterator[None]:
        if self._busy == self.slots:
            turn = anyio.Event()
            place = (-priority, next(self._arrivals), turn)
            heapq.heappush(self._waiting, place)
            try:
                await turn.wait()
            except BaseException:
                if turn.is_set():
                    self._hand_on()
                else:
                    self._waiting.remove(place)
                    heapq.heapify(self._waiting)
                raise
        else:
            self._count(+1)
        try:
            yield
        finally:
            self._hand_on()

    def _hand_on(self) -> None:
        """A slot is free: to whoever is next, or to nobody."""
        if self._waiting:
            heapq.heappop(self._waiting)[2].set()
        else:
            self._count(-1)

    def _count(self, change: int) -> None:
        _ = self.busy_seconds  # up to now it was as it was
        self._busy += change


@dataclass(slots=True)
class Written:
    """How much of a sample was decoded."""

    tokens: int = 0


class Slotted:
    """Implements `tts.backends.base.Backend`: a scripted model on a machine."""

    def __init__(self, machine: Machine, script: Script = ramble) -> None:
        self._machine = machine
        self._model = FakeBackend(script)

    @property
    def model(self) -> ModelInfo:
        return self._model.model

    @property
    def tokenizer(self) -> Tokenizer:
        return self._model.tokenizer

    async def generate(self, request: Request, meter: Meter) -> Generation:
        whole = await self._model.generate(request, Meter())  # what it will have said
        written = [Written() for _ in request.seeds]

        async def one(index: int, sample: Sample) -> None:
            tokens, seed = len(sample.token_ids), request.seeds[index]
            await self._machine.decode(tokens, seed, request.priority, written[index])

        with meter.call(request.bound) as reading:
            try:
                async with anyio.create_task_group() as group:
                    for index, sample in enumerate(whole.samples):
                        group.start_soon(one, index, sample)
            finally:
                decoded = sum(each.tokens for each in written)
                reading.cost = replace(whole.cost, output_tokens=decoded)
        return whole

    async def aclose(self) -> None:
        await self._model.aclose()


@dataclass
class Panel:
    """Implements `tts.verifier.Verifier`: several votes on each step, side by side on a machine."""

    machine: Machine
    votes: int = 1
    tokens: int = 30  # of each vote, on average
    reduction: Reduction = Reduction.MIN
    likely: Callable[[str], float] = at_random
    """P(a vote says Yes) on a text."""

    @property
    def model(self) -> ModelInfo | None:
        return ModelInfo("panel", 500, 1 << 30)

    @property
    def sampled(self) -> bool:
        return True

    def bound(self, case: Case, more_tokens: int) -> Cost:
        steps = len(case.steps) - len(case.judged) + (more_tokens > 0)
        votes = steps * (case.votes or self.votes)
        return Cost(output_tokens=2 * self.tokens * votes, samples=votes, calls=votes)

    async def judge(self, case: Case, meter: Meter) -> Sequence[Judgement | None]:
        first, verdicts = len(case.judged), list[Judgement | None]()
        for end, seed in enumerate(case.seeds, first + 1):
            text = "".join(step.text for step in case.steps[:end])
            heard = case.heard if end == first + 1 else ()
            own = Meter()
            votes = dict(enumerate(heard))

            async def vote(
                number: int, text: str = text, seed: int = seed, own: Meter = own,
                votes: dict[int, Vote] = votes, depth: int = end,
            ) -> None:  # fmt: skip
                votes[number] = await self._vote(text, vote_seed(seed, number), depth, own)
                given = without_gap(votes)
                due = (case.votes or self.votes) - len(given)
                if case.told is not None and depth == len(case.steps) and due:
                    case.told(given, due)

            try:
                async with anyio.create_task_group() as group:
                    for number in range(len(heard), case.votes or self.votes):
                        group.start_soon(vote, number)
            finally:
                meter.add(own)
            given = tuple(votes[number] for number in sorted(votes))
            scores = [each.score for each in given if each.score is not None]
            verdicts.append(Judgement(math.fsum(scores) / len(scores), given, cost=own.cost))
        return verdicts

    async def _vote(self, text: str, seed: int, depth: int, meter: Meter) -> Vote:
        chance = random.Random(seed)
        yes = chance.random() < self.likely(text)
        tokens, written = chance.randint(1, 2 * self.tokens - 1), Written()
        with meter.call(Cost(output_tokens=2 * self.tokens, samples=1, calls=1)) as reading:
            try:
                await self.machine.decode(tokens, seed, depth, written)
            finally:
                reading.cost = Cost(output_tokens=written.tokens, samples=1, calls=1)
        return Vote(0.9 if yes else 0.1)

    async def aclose(self) -> None:
        """Nothing to release."""
