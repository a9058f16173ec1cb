"""Values that cross every boundary: frozen, without behaviour beyond arithmetic on themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, NewType

from tts.errors import ConfigError

Key = tuple[int, ...]
"""A node's address: its sample index at each depth. The root is `()`."""

Account = NewType("Account", str)
"""Who a cost is booked to."""

POLICY: Final = Account("policy")
VERIFIER: Final = Account("verifier")


class Finish(Enum):
    """Why a step ended."""

    STEP = "step"
    """At a step boundary: the prefix can be extended."""
    EOS = "eos"
    """The model ended its answer."""
    LENGTH = "length"
    """Cut by a token limit: a dead end, not an answer."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A question. `answer` is for graders and never reaches a policy or a verifier."""

    id: str
    prompt: str
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What calls to one model took. Additive; all counts are >= 0."""

    prompt_tokens: int = 0
    """Tokens of the prompts sent, cached ones included."""
    cached_tokens: int = 0
    """Of these, tokens whose keys and values the engine already had: not computed again."""
    output_tokens: int = 0
    """Tokens decoded."""
    samples: int = 0
    """Completions asked for (of a policy: steps or answers; of a verifier: votes)."""
    calls: int = 0
    """Requests to the engine."""
    code_seconds: float = 0.0
    """CPU seconds of model-written code."""
    recomputed_tokens: int = 0
    """Tokens of the prompts that the engine had computed before for the same search, and computed
    again: its cache had lost them."""

    @property
    def computed_tokens(self) -> int:
        """Tokens that passed through the model: prefill that was not cached, and decoding."""
        return self.prompt_tokens - self.cached_tokens + self.output_tokens

    @property
    def new_tokens(self) -> int:
        """Of these, what was computed for the first time."""
        return self.computed_tokens - self.recomputed_tokens

    def where_known(self, tokens: int) -> Cost:
        """The cost of one request whose first `tokens` tokens had been computed before."""
        lost = min(tokens, self.prompt_tokens) - self.cached_tokens
        return self if lost <= 0 else replace(self, recomputed_tokens=lost)

    def __add__(self, other: Cost) -> Cost:
        if self is FREE:
            return other
        return Cost(
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
            self.samples + other.samples,
            self.calls + other.calls,
            self.code_seconds + other.code_seconds,
            self.recomputed_tokens + other.recomputed_tokens,
        )


FREE: Final = Cost()
"""The cost of nothing."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a solution, as the policy wrote it."""

    text: str
    """Delimiter included, so that the texts of a path concatenate to the answer."""
    token_ids: tuple[int, ...] = ()
    """Its tokens, to be sent back verbatim; empty if the engine speaks only text."""
    logprob: float = 0.0
    """Sum over the step, nats, of the sampled tokens under the raw distribution; <= 0."""
    finish: Finish = Finish.STEP
    cost: Cost = FREE


@dataclass(frozen=True, slots=True)
class Manner:
    """How a sample is asked for, where that is not the policy's own way.

    Raises:
        ConfigError: a temperature below 0, or a draft without an instruction.
    """

    temperature: float | None = None
    """>= 0; 0 is greedy. None: the policy's own."""
    instruction: str | None = None
    """What the policy is told besides the problem; not every policy can be told anything."""
    draft: str | None = None
    """An earlier solution, shown as the policy's own turn before the instruction."""
    scratch: bool = False
    """Written only so that something can be judged by it: a candidate only if there is no other."""

    def __post_init__(self) -> None:
        if self.temperature is not None and not 0 <= self.temperature < math.inf:
            raise ConfigError(f"temperature={self.temperature} must be 0 or above")
        if self.draft is not None and self.instruction is None:
            raise ConfigError("a draft is shown with an instruction of what to do about it")

    def asks_like(self, other: Manner) -> bool:
        """Whether the conversation before the answer is the same."""
        return (self.instruction, self.draft) == (other.instruction, other.draft)


PLAIN: Final = Manner()
"""The policy's own way."""


class Revising(Enum):
    """How a solution is written again after one of its steps was found wrong."""

    AUTO = "auto"
    """REWRITE if the policy takes instructions, else RESUME."""
    REWRITE = "rewrite"
    """The policy is shown the whole solution and the critique, and writes a new one."""
    RESUME = "resume"
    """The policy goes on after the last step before the wrong one; it never sees the critique."""

    def settled(self, takes_instructions: bool) -> Revising:
        """REWRITE or RESUME, for a policy that `takes_instructions`, or does not.

        Raises:
            ConfigError: REWRITE, of a policy that takes none.
        """
        if self is Revising.AUTO:
            return Revising.REWRITE if takes_instructions else Revising.RESUME
        if self is Revising.REWRITE and not takes_instructions:
            raise ConfigError(
                f"{self.value!r} shows the policy a critique, and this one is told problems alone "
                "(its dialect has neither a system message nor words around a problem): use "
                f"{Revising.RESUME.value!r}, or {Revising.AUTO.value!r}"
            )
        return self


RIGHT_FROM: Final = 0.5
"""A step is judged wrong if its score is below this, else right (GenPRM, eq. 7)."""


@dataclass(frozen=True, slots=True)
class Vote:
    """One independent opinion on a step."""

    score: float | None
    """P(the step is right) in [0, 1]; None if the verifier abstained."""
    critique: str = ""
    """Its reasoning, executed code and output included."""
    token_ids: tuple[int, ...] = ()
    """The critique's tokens, so that the next step's conversation can extend this one."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a verifier says of a prefix that ends in a given step."""

    score: float | None
    """P(right) in [0, 1]; None: the verifier abstained. Nobody invents 0.5."""
    votes: tuple[Vote, ...] = ()
    reason: str = ""
    """Why it abstained, or a remark for the reader."""
    cost: Cost = FREE
    by: str = ""
    """Which of several verifiers it is of; empty if there is one."""

    @property
    def critique(self) -> str:
        """The first vote's critique, which search continues from."""
        return self.votes[0].critique if self.votes else ""
