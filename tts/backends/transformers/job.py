"""Job: a request inside the engine, and the rows that its samples are."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tts.backends.base import Generation, Request, Sample
from tts.backends.decoder.radix import key_of
from tts.backends.transformers.cache import Prompt
from tts.types import Cost


@dataclass(eq=False, slots=True)
class Job:
    """One request. Its prompt is read, unless that is known; then its samples take rows."""

    request: Request
    order: tuple[int, int]
    """Jobs are served in this order: by priority, then as they came."""
    key: bytes = field(init=False)
    """Of the prompt."""
    stops: tuple[bytes, ...] = field(init=False)
    waiting: deque[int] = field(init=False)
    """Samples that have no row yet."""
    samples: list[Sample | None] = field(init=False)
    """Those that are done, in the order of the request's seeds."""
    prompt: Prompt | None = None
    """Held while it may be begun with."""
    prompt_tokens: int = 0
    """Tokens of the prompt that were found or computed so far."""
    cached_tokens: int = 0
    """Of these, found: in the cache, or because another job has read them."""
    output_tokens: int = 0
    """Of samples that have ended."""
    first_logprobs: tuple[float, ...] = ()
    ended: bool = False

    def __post_init__(self) -> None:
        self.key = key_of(self.request.prompt)
        self.stops = tuple(stop.encode() for stop in self.request.stop if stop)
        self.waiting = deque(range(len(self.request.seeds)))
        self.samples = [None] * len(self.request.seeds)

    def __lt__(self, other: Job) -> bool:
        return self.order < other.order

    def find(self, tokens: int) -> None:
        """So many tokens of the prompt are there; what this job did not compute, it found."""
        self.cached_tokens += tokens - self.prompt_tokens
        self.prompt_tokens = tokens

    @property
    def cost(self) -> Cost:
        """Exact, but for the samples being decoded."""
        return Cost(
            self.prompt_tokens,
            self.cached_tokens,
            self.output_tokens,
            samples=len(self.samples),
            calls=1,
        )

    @property
    def generation(self) -> Generation:
        """The reply, once all samples are done."""
        return Generation(tuple(s for s in self.samples if s is not None), self.cost)


@dataclass(eq=False, slots=True)
class Row:
    """A sample that is being decoded."""

    job: Job
    index: int
    """Of the sample in its request."""
    shared: Prompt | None
    """What comes before its own tokens, where it is read in place."""
    own: int
    """Tokens in its slot."""
    feed: int
    """The token to be computed next."""
    limit: int
    """Most tokens to decode."""
    tokens: list[int] = field(default_factory=list)
    """Decoded; the last is not computed yet."""
    logprobs: list[float] = field(default_factory=list)

    @property
    def position(self) -> int:
        """Of the token to be computed next."""
        return self.own + (0 if self.shared is None else self.shared.length)
