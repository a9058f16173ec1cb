"""Functions: plain coroutine functions as policy and verifier, for agent frameworks and tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from inspect import isawaitable
from numbers import Real

from tts.backends.base import Dialect, ModelInfo
from tts.budget.meter import Meter
from tts.errors import ConfigError
from tts.select import name_of
from tts.types import PLAIN, Cost, Finish, Judgement, Manner, Problem, Step, Vote
from tts.verifier import Case, Reduction

Writer = Callable[[str, int], Awaitable[str]]
"""Takes a problem's prompt and a seed, gives a whole solution."""

Scorer = Callable[[str, Sequence[str]], Awaitable[Sequence[float | None]]]
"""From a problem's prompt and the texts of all steps so far to one score in [0, 1] for each;
None where it has no opinion."""


class FunctionPolicy:
    """Implements `tts.policy.Policy` by a function.

    It writes whole solutions only: every step that it gives is an answer. Its tokens are not
    known, so that it costs samples and calls, and only these and time can be limited. It takes no
    temperature and no instruction.
    """

    def __init__(self, write: Writer) -> None:
        self._write = write
        dialect = Dialect(user="{problem}")
        self._model = ModelInfo(name_of(write), 0, 1 << 30, dialect=dialect, tells_tokens=False)

    @property
    def model(self) -> ModelInfo:
        return self._model

    def bound(
        self, problem: Problem, prefix: Sequence[Step], max_tokens: int, manner: Manner = PLAIN
    ) -> Cost:
        return Cost(samples=1, calls=1)

    async def extend(
        self,
        problem: Problem,
        prefix: Sequence[Step],
        *,
        max_tokens: int,
        seed: int,
        meter: Meter,
        manner: Manner = PLAIN,
    ) -> Step:
        """Raises ConfigError for what a function cannot do, and if what it gives is no text."""
        if prefix:
            raise ConfigError(
                f"{self._model.name} writes whole solutions and cannot go on from one"
            )
        if manner.temperature is not None or manner.instruction is not None:
            raise ConfigError(
                f"{self._model.name} is a plain function of a problem and a seed, and takes no "
                f"temperature and no instruction: {manner}"
            )
        bound = self.bound(problem, prefix, max_tokens)
        with meter.call(bound) as reading:
            text = await _given(self._write(problem.prompt, seed), self._write)
            reading.cost = bound
        if not isinstance(text, str):
            raise ConfigError(f"{self._model.name} gave {text!r} for a solution: it must give text")
        return Step(text, finish=Finish.EOS, cost=bound)

    async def complete(
        self,
        problem: Problem,
        prefix: Sequence[Step],
        *,
        max_tokens: int,
        seed: int,
        meter: Meter,
        manner: Manner = PLAIN,
    ) -> Sequence[Step]:
        whole = await self.extend(
            problem, prefix, max_tokens=max_tokens, seed=seed, meter=meter, manner=manner
        )
        return [whole]

    async def aclose(self) -> None:
        """Nothing to release."""


class FunctionVerifier:
    """Implements `tts.verifier.Verifier` by a function.

    What that costs is the function's own business and is not counted.
    """

    def __init__(self, score: Scorer, reduction: Reduction = Reduction.LAST) -> None:
        self._score = score
        self._reduction = reduction

    @property
    def model(self) -> ModelInfo | None:
        return None

    @property
    def reduction(self) -> Reduction:
        return self._reduction

    @property
    def sampled(self) -> bool:
        return False

    def bound(self, case: Case, more_tokens: int) -> Cost:
        return Cost()

    async def judge(self, case: Case, meter: Meter) -> Sequence[Judgement | None]:
        """Raises ConfigError if the function does not give a score for each step."""
        texts = [step.text for step in case.steps]
        scores = await _given(self._score(case.problem.prompt, texts), self._score)
        if not isinstance(scores, Collection) or len(scores) != len(texts):
            raise ConfigError(
                f"{name_of(self._score)} gave {scores!r} for {len(texts)} steps: it must give one "
                "score in [0, 1], or None, for each"
            )
        return [self._judgement(score) for score in list(scores)[len(case.judged) :]]

    async def aclose(self) -> None:
        """Nothing to release."""

    def _judgement(self, score: object) -> Judgement:
        if score is None:
            return Judgement(None, reason="the function gave no score")
        if not isinstance(score, Real) or not 0 <= float(score) <= 1:
            raise ConfigError(f"score {score!r} of {name_of(self._score)} is not in [0, 1] or None")
        return Judgement(float(score), votes=(Vote(float(score)),))


async def _given(value: object, function: Callable[..., object]) -> object:
    """What `function`, which gave `value`, comes to in the end."""
    if not isawaitable(value):
        raise ConfigError(
            f"{name_of(function)} gave {value!r}, which cannot be awaited: define it by 'async def'"
        )
    return await value
