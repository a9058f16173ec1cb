r"""Refine: a solution is judged, and written again where a step was found wrong, turn after turn.

The critic loop of GenPRM (Zhao et al. 2025, sec. 4.3 and `policy_refine.py`): the first step with a
score below 0.5 goes back to the policy together with what the verifier's analysis says of it; a
solution of which no step is judged wrong stays. How the policy goes on is a `Reviser`:

- `Rewrite`, the paper's: the whole solution is the assistant's turn of a conversation, the critique
  the user's next one, and the policy writes a new solution. For models that take instructions.
- `Resume`: the policy goes on after the last step judged right, with another seed; it never sees
  the critique. For models that were taught nothing but to solve problems.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from tts.backends.base import Backend, Dialect, Generation, ModelInfo, Request, Sampling, Tokenizer
from tts.budget.meter import Meter
from tts.errors import ConfigError, Overlong
from tts.policy import LanguagePolicy, Policy
from tts.seeds import node_seed
from tts.types import Cost, Judgement, Problem, Step
from tts.verifier import Case, Verifier

RIGHT_FROM: Final = 0.5
"""A step is wrong below this score."""
COMPLAINT: Final = (
    "There might be some problem in this paragraph of your reasoning, please rethink and refine"
    " your answer:\n>{step}\n\n{analysis}"
)
_ANALYSIS: Final = re.compile(r"<analyze>(.*?)</analyze>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Turn:
    """A solution, what was said of it, and what both took."""

    steps: tuple[Step, ...]
    judgements: tuple[Judgement | None, ...]
    policy_cost: Cost
    verifier_cost: Cost

    @property
    def text(self) -> str:
        """The whole solution."""
        return "".join(step.text for step in self.steps)

    @property
    def first_wrong(self) -> int | None:
        """Index of the first step that is judged wrong; an abstention is no such judgement."""
        for index, judgement in enumerate(self.judgements):
            score = None if judgement is None else judgement.score
            if score is not None and score < RIGHT_FROM:
                return index
        return None


class Reviser(Protocol):
    """Writes the next solution after one that was found wrong."""

    async def revise(self, problem: Problem, turn: Turn, *, seed: int, meter: Meter) -> list[Step]:
        """A whole solution; `turn.first_wrong` is not None."""
        ...


async def refine(
    problem: Problem,
    policy: Policy,
    verifier: Verifier,
    reviser: Reviser,
    *,
    turns: int = 3,
    seed: int = 0,
) -> tuple[Turn, ...]:
    """The first solution, and at most `turns` more; the last one is the answer.

    Ends early when no step is judged wrong, or when what was said of the solution does not fit the
    policy's context window any more. Seeds come from the problem's id and the turn.

    Raises:
        ConfigError: `turns` is below 0.
        BackendError: an engine failed, or the problem itself does not fit.
    """
    if turns < 0:
        raise ConfigError(f"turns={turns} must be at least 0")
    asked, meter = replace(problem, answer=None), Meter()
    steps = await _solve(asked, policy, node_seed(seed, problem.id, (0,)), meter)
    done = [await _judged(asked, steps, verifier, node_seed(seed, problem.id, (0, 0)), meter)]
    for number in range(1, turns + 1):
        if done[-1].first_wrong is None:
            break
        meter = Meter()
        own = node_seed(seed, problem.id, (number,))
        try:
            steps = await reviser.revise(asked, done[-1], seed=own, meter=meter)
        except Overlong:
            break
        own = node_seed(seed, problem.id, (number, 0))
        done.append(await _judged(asked, steps, verifier, own, meter))
    return tuple(done)


class Rewrite:
    """The policy is shown its whole solution and the critique of the first wrong step."""

    def __init__(
        self,
        backend: Backend,
        *,
        sampling: Sampling | None = None,
        dialect: Dialect | None = None,
    ) -> None:
        """The engine and the manners of the policy that wrote the solution."""
        self._backend = backend
        self._sampling = sampling
        self._dialect = dialect

    async def revise(self, problem: Problem, turn: Turn, *, seed: int, meter: Meter) -> list[Step]:
        since = [
            {"role": "assistant", "content": turn.text},
            {"role": "user", "content": complaint(turn)},
        ]
        policy = LanguagePolicy(
            _Continued(self._backend, since), sampling=self._sampling, dialect=self._dialect
        )
        return await _solve(problem, policy, seed, meter)


class Resume:
    """The policy goes on after the last step before the first wrong one."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    async def revise(self, problem: Problem, turn: Turn, *, seed: int, meter: Meter) -> list[Step]:
        return await _solve(problem, self._policy, seed, meter, turn.steps[: turn.first_wrong])


def takes_instructions(dialect: Dialect) -> bool:
    """Whether a model is told anything besides the problem, so that it can be told more."""
    return dialect.system is not None or dialect.user.strip() != "{problem}"


def complaint(turn: Turn) -> str:
    """The user's words about the first wrong step: the step, and the analysis of it."""
    index = turn.first_wrong
    assert index is not None
    judgement = turn.judgements[index]
    critique = "" if judgement is None else _accusation(judgement)
    return COMPLAINT.format(step=turn.steps[index].text.strip(), analysis=analysis(critique))


def analysis(critique: str) -> str:
    """What a critique's `<analyze>` says after its first colon, which ends the forced opening."""
    match = _ANALYSIS.search(critique)
    if match is None:
        return critique
    opening, colon, rest = match[1].partition(":")
    return (rest if colon else opening).strip()


def _accusation(judgement: Judgement) -> str:
    """The critique of the first vote that calls the step wrong, which a majority need not begin."""
    for vote in judgement.votes:
        if vote.score is not None and vote.score < RIGHT_FROM:
            return vote.critique
    return judgement.critique


async def _solve(
    problem: Problem, policy: Policy, seed: int, meter: Meter, prefix: Sequence[Step] = ()
) -> list[Step]:
    """A whole solution that begins with `prefix`."""
    written = sum(len(step.token_ids) for step in prefix)
    prompt = policy.bound(problem, prefix, 0).prompt_tokens
    room = min(policy.model.dialect.answer_tokens - written, policy.model.context_tokens - prompt)
    rest = await policy.complete(problem, prefix, max_tokens=max(1, room), seed=seed, meter=meter)
    return [*prefix, *rest]


async def _judged(
    problem: Problem, steps: Sequence[Step], verifier: Verifier, seed: int, policy: Meter
) -> Turn:
    meter = Meter()
    seeds = tuple(node_seed(seed, problem.id, (index,)) for index in range(len(steps)))
    judgements = await verifier.judge(Case(problem, tuple(steps), (), seeds), meter)
    return Turn(tuple(steps), tuple(judgements), policy.cost, meter.cost)


class _Continued:
    """A backend whose conversations go on with messages after the one that it is asked for."""

    def __init__(self, backend: Backend, since: Sequence[Mapping[str, str]]) -> None:
        self._backend = backend
        self.tokenizer: Tokenizer = _ContinuedTokenizer(backend.tokenizer, since)

    @property
    def model(self) -> ModelInfo:
        return self._backend.model

    async def generate(self, request: Request, meter: Meter) -> Generation:
        return await self._backend.generate(request, meter)

    async def aclose(self) -> None:
        """The engine is its owner's."""


class _ContinuedTokenizer:
    def __init__(self, tokenizer: Tokenizer, since: Sequence[Mapping[str, str]]) -> None:
        self._tokenizer = tokenizer
        self._since = since

    def encode(self, text: str) -> tuple[int, ...]:
        return self._tokenizer.encode(text)

    def decode(self, token_ids: Sequence[int]) -> str:
        return self._tokenizer.decode(token_ids)

    def chat(self, messages: Sequence[Mapping[str, str]]) -> tuple[int, ...]:
        return self._tokenizer.chat([*messages, *self._since])
