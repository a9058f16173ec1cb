"""Chat: a policy over an endpoint that speaks only text, `openai:http://host/v1,model=NAME`.

It always writes whole solutions. Step by step it works where the endpoint was seen to go on with an
assistant's message, and to tell a stop string from the end of an answer. Tokens are counted by the
endpoint; before a call their number is bounded by that of the text's bytes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from anyio.from_thread import start_blocking_portal

from tts.backends.base import Dialect, ModelInfo, Sampling
from tts.backends.remote.admission import Admission
from tts.backends.remote.chat import ChatEndpoint, Written
from tts.backends.remote.line import Line
from tts.backends.remote.opening import OPENING_SECONDS
from tts.budget.meter import Meter
from tts.errors import ConfigError
from tts.policy import conversation
from tts.types import PLAIN, Cost, Finish, Manner, Problem, Step

_MARGIN: Final = 16
"""Tokens that a template may add to a longer conversation than the one that was measured."""


_USER: Final = Dialect().user


class ChatPolicy:
    """Implements `tts.policy.Policy`."""

    def __init__(self, endpoint: ChatEndpoint, model: ModelInfo) -> None:
        """`model`: its dialect and sampling are used as they are."""
        self._endpoint = endpoint
        self._model = model

    @property
    def model(self) -> ModelInfo:
        return self._model

    @property
    def about(self) -> str:
        """What it can be used for."""
        return self._why_whole() or "goes step by step"

    def bound(
        self, problem: Problem, prefix: Sequence[Step], max_tokens: int, manner: Manner = PLAIN
    ) -> Cost:
        """No token is shorter than a byte."""
        messages = conversation(self._model.dialect, problem.prompt, manner)
        texts = [message["content"] for message in messages]
        texts += [step.text for step in prefix]
        overhead = self._endpoint.abilities.overhead_tokens + _MARGIN
        return Cost(
            prompt_tokens=overhead + sum(len(text.encode()) for text in texts),
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
        """Sample until the delimiter, the end of the answer, or `max_tokens`.

        Raises:
            ConfigError: the endpoint cannot write step by step; before anything is spent.
        """
        self._must_step()
        written = await self._write(
            problem, prefix, max_tokens, seed, meter, self._model.dialect.delimiter, manner
        )
        finish = Finish.STEP if written.stopped else _end(written)
        return Step(written.text, logprob=written.logprob, finish=finish, cost=written.cost)

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
        """Sample until the end of the answer in one call, then cut it into steps.

        Raises:
            ConfigError: there is a prefix, and the endpoint cannot go on from one.
        """
        if prefix:
            self._must_step()
        written = await self._write(problem, prefix, max_tokens, seed, meter, None, manner)
        delimiter = self._model.dialect.delimiter
        *pieces, last = written.text.split(delimiter)
        texts = [piece + delimiter for piece in pieces] + [last] * bool(last or not pieces)
        ends = [Finish.STEP] * (len(texts) - 1) + [_end(written)]
        return [
            Step(text, finish=finish, cost=written.cost if index == 0 else Cost())
            for index, (text, finish) in enumerate(zip(texts, ends, strict=True))
        ]

    async def aclose(self) -> None:
        await self._endpoint.aclose()

    def _why_whole(self) -> str:
        """Why it writes whole solutions only; empty if it goes step by step too."""
        if self._endpoint.abilities.continues is None:
            return "does not go on with an assistant's message"
        if not self._endpoint.abilities.tells_stop:
            return "does not tell the end of a step from the end of an answer"
        return ""

    def _must_step(self) -> None:
        if reason := self._why_whole():
            raise ConfigError(
                f"{self._model.name} {reason}, so that no search can go step by step: use "
                "best_of_n, or an engine that takes token ids (vllm, sglang)"
            )

    async def _write(
        self,
        problem: Problem,
        prefix: Sequence[Step],
        max_tokens: int,
        seed: int,
        meter: Meter,
        stop: str | None,
        manner: Manner,
    ) -> Written:
        sampling = self._model.sampling
        if manner.temperature is not None:
            sampling = replace(sampling, temperature=manner.temperature)
        return await self._endpoint.write(
            conversation(self._model.dialect, problem.prompt, manner),
            "".join(step.text for step in prefix),
            max_tokens=max_tokens,
            seed=seed,
            sampling=sampling,
            stop=stop,
            bound=self.bound(problem, prefix, max_tokens, manner),
            priority=len(prefix),
            meter=meter,
        )


def open_openai(
    address: str,
    model: str | None = None,
    context_tokens: int | None = None,
    parameters: float = 0.0,
    temperature: float = 1.0,
    top_p: float = 1.0,
    step_tokens: int = 512,
    answer_tokens: int = 2048,
    user: str = _USER,
    system: str | None = None,
    at_once: int = 64,
    seconds: float = 600.0,
    patience: float = 30.0,
    api_key_env: str = "OPENAI_API_KEY",
) -> ChatPolicy:
    """A policy over any OpenAI-compatible chat endpoint: `openai:https://host/v1,model=NAME`.

    `parameters` are those active for a token: without, FLOPs cannot be limited. `user` is how
    a problem is put, `{problem}` in it; `context_tokens` is asked of the endpoint, or 32,768.
    `api_key_env` names the environment's variable with the key, if the endpoint wants one.
    """
    if not address:
        raise ConfigError("say where the endpoint is: openai:http://host:port/v1,model=NAME")
    key = os.environ.get(api_key_env)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    line = Line(address, seconds=seconds, patience=patience, headers=headers)
    admission = Admission(at_once)
    line.on_busy = admission.shrink
    with start_blocking_portal() as portal:
        endpoint = portal.call(partial(_probed, line, model, admission))
    info = ModelInfo(
        name=endpoint.model,
        parameters=int(parameters),
        context_tokens=context_tokens or endpoint.abilities.context_tokens or 32_768,
        dialect=Dialect(system, user, step_tokens=step_tokens, answer_tokens=answer_tokens),
        sampling=Sampling(temperature, top_p),
    )
    return ChatPolicy(endpoint, info)


async def _probed(line: Line, model: str | None, admission: Admission) -> ChatEndpoint:
    async with line.opening(OPENING_SECONDS):
        return await ChatEndpoint.opened(line, model, admission)


def _end(written: Written) -> Finish:
    return Finish.LENGTH if written.cut else Finish.EOS
