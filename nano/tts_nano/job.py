"""Job: a request inside the engine, and what has become of it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from tts.backends.base import Generation, Request, Sample
from tts.backends.decoder.radix import Node, key_of
from tts.types import Cost
from tts_nano.arrays import Floats, Integers


@dataclass(eq=False, slots=True)
class Job:
    """One request. It waits, is read unless the cache knows its prompt, then its samples begin."""

    request: Request
    order: tuple[int, int]
    """Jobs are served in this order: by priority, then as they came."""
    tokens: Integers = field(init=False)
    """Of the prompt."""
    key: bytes = field(init=False)
    """Of the same."""
    stops: tuple[bytes, ...] = field(init=False)
    waiting: deque[int] = field(init=False)
    """Samples that have no slot yet."""
    samples: list[Sample | None] = field(init=False)
    """Those that are done, in the order of the request's seeds."""

    prompt_tokens: int = 0
    """Tokens of the prompt that were found in the cache or computed so far."""
    cached_tokens: int = 0
    """Of these, found in the cache."""
    output_tokens: int = 0
    """Of samples that are done."""

    nodes: tuple[Node, ...] = ()
    """Full blocks of the prompt that are cached and held until the job ends."""
    blocks: Floats | None = None
    """Of the whole prompt, while it is read and until all samples have begun."""
    hidden: Floats | None = None
    """Final hidden state of the prompt's last token, once it is known."""
    first_logprobs: tuple[float, ...] = ()
    followers: list[Job] = field(default_factory=list)
    """Jobs that wait until this one's prompt is cached."""
    expected: int = 0
    """Samples of those that did, and may share blocks with this one's."""
    ended: bool = False

    def __post_init__(self) -> None:
        request = self.request
        self.tokens = np.array(request.prompt, np.int64)
        self.key = key_of(self.tokens)
        self.stops = tuple(stop.encode() for stop in request.stop if stop)
        self.waiting = deque(range(len(request.seeds)))
        self.samples = [None] * len(request.seeds)

    def __lt__(self, other: Job) -> bool:
        return self.order < other.order

    @property
    def length(self) -> int:
        """Tokens of the prompt."""
        return len(self.tokens)

    @property
    def width(self) -> int:
        """Samples in all."""
        return len(self.samples)

    @property
    def cost(self) -> Cost:
        """Exact, but for the samples being decoded."""
        return Cost(
            self.prompt_tokens, self.cached_tokens, self.output_tokens, samples=self.width, calls=1
        )

    @property
    def generation(self) -> Generation:
        """The reply, once all samples are done."""
        return Generation(tuple(s for s in self.samples if s is not None), self.cost)
