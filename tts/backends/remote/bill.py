"""Bill: what a request has cost so far, exact where the engine has told it, else the most."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tts.backends.base import Request
from tts.backends.remote.refusal import Unbegun
from tts.types import FREE, Cost


@dataclass(eq=False, slots=True)
class Call:
    """One call for one sample."""

    output: int = 0
    """Tokens decoded."""
    computed: int = 0
    """Tokens of the prompt that were not in the engine's cache."""
    known: bool = False

    def tell(self, output: int, computed: int) -> None:
        """What the engine says that it took."""
        self.output, self.computed, self.known = output, computed, True


@dataclass(slots=True)
class Bill:
    """The cost of one request, whose samples come by a call each."""

    request: Request
    calls: list[Call] = field(default_factory=list)

    @contextmanager
    def call(self) -> Iterator[Call]:
        """A call that is being made: it costs its bound until more is known.

        A call that the engine did not begin costs nothing.
        """
        call = Call()
        self.calls.append(call)
        try:
            yield call
        except Unbegun:
            self.calls.remove(call)
            raise

    @property
    def cost(self) -> Cost:
        """All of it together.

        The prompt is one, however many calls brought the samples. What siblings compute again of
        it (the block that the cache does not hold in full) counts up to the prompt's length.
        """
        if not self.calls:
            return FREE
        prompt = len(self.request.prompt)
        computed = sum(call.computed if call.known else prompt for call in self.calls)
        limit = self.request.max_tokens
        return Cost(
            prompt_tokens=prompt,
            cached_tokens=prompt - min(prompt, computed),
            output_tokens=sum(call.output if call.known else limit for call in self.calls),
            samples=len(self.calls),
            calls=1,
        )
