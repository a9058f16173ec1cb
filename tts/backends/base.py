"""Backend: token ids in, token ids out. The one thing `tts` asks of an inference engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from tts.budget.meter import Meter
from tts.budget.prices import Prices
from tts.types import Cost


class Ending(Enum):
    """Why the engine stopped decoding a sample."""

    STOP = "stop"
    """At one of the request's stop strings or stop ids."""
    EOS = "eos"
    """At the model's own end-of-sequence token."""
    LENGTH = "length"
    """At `max_tokens`, or at the end of the context window."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 keep everything."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """`len(seeds)` independent continuations of one prompt."""

    prompt: tuple[int, ...]
    """Token ids, special tokens included."""
    max_tokens: int
    """Most tokens to decode for each sample; >= 1."""
    seeds: tuple[int, ...] = (0,)
    """One seed in [0, 2^63) a sample. An engine that can, draws sample i from seeds[i] alone."""
    sampling: Sampling = Sampling()
    stop: tuple[str, ...] = ()
    """Strings that end a sample; the match is kept at the end of its text and token ids."""
    stop_ids: tuple[int, ...] = ()
    """Token ids that end a sample; the token is kept."""
    logprob_ids: tuple[int, ...] = ()
    """Token ids whose raw log-probability at the FIRST output position is wanted."""
    priority: int = 0
    """Larger is served earlier, where the engine has priorities."""
    known: int = field(default=0, repr=False)
    """Leading tokens of the prompt that were computed before for the same search. It decides no
    sample: an engine that has lost them computes them again, at no one's charge."""

    @property
    def bound(self) -> Cost:
        """The most this request can cost: its prompt once, since its samples share it."""
        n = len(self.seeds)
        whole = Cost(
            prompt_tokens=len(self.prompt), output_tokens=self.max_tokens * n, samples=n, calls=1
        )
        return whole.where_known(self.known)


@dataclass(frozen=True, slots=True)
class Sample:
    """One continuation."""

    token_ids: tuple[int, ...]
    """What was decoded, the token that ended it included."""
    text: str
    """`token_ids` as text, special tokens left out."""
    logprob: float
    """Sum over `token_ids`, nats, raw (before temperature and truncation)."""
    ending: Ending
    first_logprobs: tuple[float, ...] = ()
    """Raw log-probabilities of the request's `logprob_ids` at the first output position."""
    logprobs: tuple[float, ...] = ()
    """Raw log-probability of each of `token_ids`; empty if the engine gives only the sum."""


@dataclass(frozen=True, slots=True)
class Generation:
    """The reply to one request: samples in the order of its seeds, and what they cost together."""

    samples: tuple[Sample, ...]
    cost: Cost


class Tokenizer(Protocol):
    """Text to ids and back, and the model's chat template."""

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of `text` alone, no special tokens added; special tokens spelled out are parsed."""
        ...

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of `token_ids`, special tokens left out."""
        ...

    def chat(self, messages: Sequence[Mapping[str, str]]) -> tuple[int, ...]:
        """Ids of a conversation, up to and including the header of the assistant's next turn."""
        ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a model was taught to be asked and to answer."""

    system: str | None = None
    user: str = (
        "{problem}\n\nPlease reason step by step, and put your final answer within \\boxed{{}}."
    )
    """The user's turn; `{problem}` is the question, doubled braces are literal ones."""
    delimiter: str = "\n\n"
    """What ends a step."""
    step_tokens: int = 512
    """Longest step."""
    answer_tokens: int = 2048
    """Longest answer, all steps together."""

    @property
    def takes_instructions(self) -> bool:
        """Whether the model is told anything besides the problem, so that it can be told more."""
        return self.system is not None or self.user.strip() != "{problem}"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What the orchestrator has to know of a model."""

    name: str
    parameters: int
    """Parameters active for a token; a token costs 2 x this many FLOPs. 0: nobody said."""
    context_tokens: int
    """Longest prompt and output together."""
    eos_ids: tuple[int, ...] = ()
    cache_tokens: int | None = None
    """Tokens that the engine's prefix cache can hold; None if it does not say."""
    dialect: Dialect = Dialect()
    sampling: Sampling = Sampling()
    """What its makers advise."""
    prices: Prices | None = None
    """What its tokens cost; None: nobody said."""
    tells_tokens: bool = True
    """Whether it says how many tokens a call took; a plain function does not."""


class Backend(Protocol):
    """An inference engine that serves one model."""

    @property
    def model(self) -> ModelInfo: ...

    @property
    def tokenizer(self) -> Tokenizer: ...

    async def generate(self, request: Request, meter: Meter) -> Generation:
        """Serve `request`; its cost is booked on `meter`, exactly, also when it is cancelled.

        Raises:
            Overlong: the prompt leaves no room for one token in the context window.
            Unavailable: the engine is gone.
            BadReply: the engine's answer makes no sense.
        """
        ...

    async def aclose(self) -> None:
        """Stop what is in flight and release the engine's resources. Idempotent."""
        ...
