"""Policy: writes solutions, a step or an answer at a time, with a backend and a dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Protocol

from tts.backends.base import Backend, Dialect, Ending, ModelInfo, Request, Sample, Sampling
from tts.budget.meter import Meter
from tts.errors import ConfigError, Overlong
from tts.types import PLAIN, Cost, Finish, Manner, Problem, Step


class Policy(Protocol):
    """Extends prefixes of solutions. Many are extended at once: keep no state between them.

    A `manner` that a policy cannot follow is a `ConfigError` that says so, never ignored.
    """

    @property
    def model(self) -> ModelInfo: ...

    def bound(
        self, problem: Problem, prefix: Sequence[Step], max_tokens: int, manner: Manner = PLAIN
    ) -> Cost:
        """The most that one call below can cost."""
        ...

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
        """Sample the next step, of at most `max_tokens` tokens."""
        ...

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
        """Sample on to the end, of at most `max_tokens` tokens; at least one step."""
        ...

    async def aclose(self) -> None:
        """Release the engine. Idempotent."""
        ...


class LanguagePolicy:
    """A policy over a backend. Token ids go back to the engine as they came: never re-templated."""

    def __init__(
        self,
        backend: Backend,
        *,
        sampling: Sampling | None = None,
        dialect: Dialect | None = None,
    ) -> None:
        """`sampling` and `dialect` default to what the model's makers advise."""
        self._backend = backend
        self._sampling = sampling or backend.model.sampling
        self._dialect = dialect or backend.model.dialect
        self._model = replace(backend.model, dialect=self._dialect, sampling=self._sampling)
        self._prompt_ids = lru_cache(maxsize=4096)(self._render)
        self._token_text = lru_cache(maxsize=65536)(
            lambda token_id: backend.tokenizer.decode((token_id,))
        )

    @property
    def model(self) -> ModelInfo:
        return self._model

    @property
    def about(self) -> str:
        """What its engine says of itself, if it says anything."""
        return str(getattr(self._backend, "about", ""))

    def bound(
        self, problem: Problem, prefix: Sequence[Step], max_tokens: int, manner: Manner = PLAIN
    ) -> Cost:
        """One request with one sample."""
        return Cost(
            prompt_tokens=len(self._prompt_ids(problem.prompt, manner.instruction, manner.draft))
            + sum(len(step.token_ids) for step in prefix),
            output_tokens=max_tokens,
            samples=1,
            calls=1,
        )

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
        """Sample until the delimiter, the end of the answer, or `max_tokens`."""
        stop = (self._dialect.delimiter,)
        sample, cost = await self._generate(problem, prefix, max_tokens, seed, meter, stop, manner)
        return Step(sample.text, sample.token_ids, sample.logprob, _FINISH[sample.ending], cost)

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
        """Sample until the end of the answer in one call, then cut it into steps."""
        sample, cost = await self._generate(problem, prefix, max_tokens, seed, meter, (), manner)
        return self._split(sample, cost)

    async def aclose(self) -> None:
        await self._backend.aclose()

    async def _generate(
        self,
        problem: Problem,
        prefix: Sequence[Step],
        max_tokens: int,
        seed: int,
        meter: Meter,
        stop: tuple[str, ...],
        manner: Manner,
    ) -> tuple[Sample, Cost]:
        prompt = self._prompt_ids(problem.prompt, manner.instruction, manner.draft)
        for step in prefix:
            prompt += step.token_ids
        sampling = self._sampling
        if manner.temperature is not None:
            sampling = replace(sampling, temperature=manner.temperature)
        request = Request(
            prompt,
            max_tokens,
            seeds=(seed,),
            sampling=sampling,
            stop=stop,
            priority=len(prefix),
        )
        generation = await self._backend.generate(request, meter)
        return generation.samples[0], generation.cost

    def _render(self, question: str, instruction: str | None, draft: str | None) -> tuple[int, ...]:
        """Ids of the conversation in which `question` waits for its answer."""
        manner = Manner(instruction=instruction, draft=draft)
        messages = conversation(self._dialect, question, manner)
        ids = self._backend.tokenizer.chat(messages)
        room = self.model.context_tokens - len(ids)
        if room < 1:
            raise Overlong(
                f"the problem takes {len(ids)} tokens; {self.model.name} has room for "
                f"{self.model.context_tokens}, its answer included"
            )
        return ids

    def _split(self, sample: Sample, cost: Cost) -> list[Step]:
        """Cut an answer where step-by-step sampling would have stopped.

        The call's cost goes to the first step, so that the costs of a path add up to what it took.
        """
        decode, delimiter = self._backend.tokenizer.decode, self._dialect.delimiter
        last = delimiter[-1]
        pieces: list[tuple[int, int]] = []
        start = 0
        for end, id in enumerate(sample.token_ids, 1):
            # Decoding is costly; only a token that holds the delimiter's last character can end it.
            if last in self._token_text(id) and delimiter in decode(sample.token_ids[start:end]):
                pieces.append((start, end))
                start = end
        if start < len(sample.token_ids) or not pieces:
            pieces.append((start, len(sample.token_ids)))
        steps: list[Step] = []
        for start, end in pieces:
            ids = sample.token_ids[start:end]
            final = end == len(sample.token_ids)
            steps.append(
                Step(
                    text=decode(ids),
                    token_ids=ids,
                    logprob=sum(sample.logprobs[start:end]) if sample.logprobs else 0.0,
                    finish=_FINISH[sample.ending] if final else Finish.STEP,
                    cost=cost if start == 0 else Cost(),
                )
            )
        return steps


def conversation(dialect: Dialect, question: str, manner: Manner) -> list[Mapping[str, str]]:
    """The messages after which the answer to `question` is due.

    Raises:
        ConfigError: the question is empty.
    """
    if not question.strip():
        raise ConfigError("the problem is empty")
    asked = dialect.user.format(problem=question)
    messages = [] if dialect.system is None else [_message("system", dialect.system)]
    if manner.instruction is None:
        return [*messages, _message("user", asked)]
    if manner.draft is None:
        return [*messages, _message("user", f"{asked}\n\n{manner.instruction}")]
    drafted = [_message("user", asked), _message("assistant", manner.draft)]
    return [*messages, *drafted, _message("user", manner.instruction)]


def _message(role: str, content: str) -> Mapping[str, str]:
    return {"role": role, "content": content}


_FINISH = {Ending.STOP: Finish.STEP, Ending.EOS: Finish.EOS, Ending.LENGTH: Finish.LENGTH}
