"""A scripted engine whose tokens are characters, but for special tokens and the two verdicts."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import anyio
import pytest

from tts.backends.base import Dialect, Ending, Generation, ModelInfo, Request, Sample
from tts.budget.meter import Meter
from tts.errors import Overlong
from tts.sandbox.outcome import Outcome, Status
from tts.seeds import node_seed
from tts.types import Cost, Problem, Step
from tts.verifier import Case

SPECIAL = re.compile(r"(<[|｜][^<>\n|｜]+[|｜]>|</?s>|<extra_0>|\bYes\b|\bNo\b)")  # noqa: RUF001
FIRST_SPECIAL = 0x110000


class Words:
    """Special tokens, `Yes` and `No` are one token each; anything else a token a character."""

    def __init__(self) -> None:
        self.words = ["<eos>", "Yes", "No"]

    def encode(self, text: str) -> tuple[int, ...]:
        ids: list[int] = []
        for index, piece in enumerate(SPECIAL.split(text)):
            if index % 2:
                if piece not in self.words:
                    self.words.append(piece)
                ids.append(FIRST_SPECIAL + self.words.index(piece))
            else:
                ids.extend(map(ord, piece))
        return tuple(ids)

    def decode(self, token_ids: Sequence[int]) -> str:
        texts = [(id, self._text(id)) for id in token_ids]
        return "".join(text for id, text in texts if id < FIRST_SPECIAL or text in {"Yes", "No"})

    def show(self, token_ids: Sequence[int]) -> str:
        """With special tokens."""
        return "".join(map(self._text, token_ids))

    def chat(self, messages: Sequence[Mapping[str, str]]) -> tuple[int, ...]:
        turns = (f"<|{m['role']}|>\n{m['content']}<|end|>\n" for m in messages)
        return self.encode("<|begin|>" + "".join(turns) + "<|assistant|>\n")

    def _text(self, id: int) -> str:
        return chr(id) if id < FIRST_SPECIAL else self.words[id - FIRST_SPECIAL]


Reply = Callable[[str, int], str]
Logprobs = Callable[[str], Sequence[float]]


def sure_of_yes(text: str) -> tuple[float, float]:
    return math.log(0.9), math.log(0.1)


@dataclass(eq=False)
class ScriptedBackend:
    """`reply` gives the rest of the turn for the whole conversation and a seed."""

    reply: Reply = lambda text, seed: ""
    logprobs: Logprobs = sure_of_yes
    context_tokens: int = 1_000_000
    parameters: int = 7
    tokenizer: Words = field(default_factory=Words)
    requests: list[Request] = field(default_factory=list)
    computed: list[tuple[int, ...]] = field(default_factory=list)
    """Every sequence of ids that has passed through the model."""
    unfounded: list[Request] = field(default_factory=list)
    """Requests that call known what was never computed."""
    closed: int = 0

    @property
    def model(self) -> ModelInfo:
        eos = (FIRST_SPECIAL,)
        return ModelInfo("scripted", self.parameters, self.context_tokens, eos, dialect=Dialect())

    def prompts(self) -> list[str]:
        return [self.tokenizer.show(request.prompt) for request in self.requests]

    async def generate(self, request: Request, meter: Meter) -> Generation:
        self.requests.append(request)
        known = request.prompt[: request.known]
        if not any(ids[: len(known)] == known for ids in self.computed) and known:
            self.unfounded.append(request)
        room = self.context_tokens - len(request.prompt)
        if room < 1:
            raise Overlong("no room")
        assert request.max_tokens >= 1
        with meter.call(request.bound) as reading:
            await anyio.lowlevel.checkpoint()
            samples = tuple(self._sample(request, seed, room) for seed in request.seeds)
            self.computed += [request.prompt + sample.token_ids[:-1] for sample in samples]
            output = sum(len(sample.token_ids) for sample in samples)
            reading.cost = Cost(len(request.prompt), 0, output, len(samples), 1)
        return Generation(samples, reading.cost)

    def _sample(self, request: Request, seed: int, room: int) -> Sample:
        before = self.tokenizer.show(request.prompt)
        text, ending = self.reply(before, seed), Ending.EOS
        ends = [text.find(stop) + len(stop) for stop in request.stop if stop in text]
        if ends:
            text, ending = text[: min(ends)], Ending.STOP
        ids = self.tokenizer.encode(text) + ((FIRST_SPECIAL,) if ending is Ending.EOS else ())
        if len(ids) > (most := min(room, request.max_tokens)):
            ids, ending = ids[:most], Ending.LENGTH
        first = tuple(self.logprobs(before)) if request.logprob_ids else ()
        return Sample(ids, self.tokenizer.decode(ids), -1.0, ending, first)

    async def aclose(self) -> None:
        self.closed += 1


@dataclass(eq=False)
class RecordingRunner:
    """Runs nothing: tells what it was asked, answers from a function."""

    answer: Callable[[str], Outcome] = lambda code: Outcome(Status.OK, "True\n", cpu_seconds=0.25)
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    limit_seconds: float = 5.0
    closed: int = 0

    async def run(self, code: str, prelude: Sequence[str]) -> Outcome:
        self.asked.append((code, tuple(prelude)))
        await anyio.lowlevel.checkpoint()
        return self.answer(code)

    async def aclose(self) -> None:
        self.closed += 1


def a_case(*texts: str, prompt: str = "What is 2 * 3 + 1?") -> Case:
    """An unjudged solution of these steps."""
    steps = tuple(Step(text) for text in texts)
    seeds = tuple(node_seed(1, "p", (index,)) for index in range(len(steps)))
    return Case(Problem("p", prompt, answer="7"), steps, (), seeds)


class Kit:
    """What the tests build with."""

    Backend = ScriptedBackend
    Runner = RecordingRunner
    case = staticmethod(a_case)


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    return Kit
