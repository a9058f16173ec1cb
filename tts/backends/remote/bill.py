"""Bill: what a request has cost so far, exact where the engine has told it, else the most."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tts.backends.base import Request
from tts.backends.remote.line import Errand
from tts.backends.remote.refusal import Unbegun
from tts.types import FREE, Cost


@dataclass(eq=False, slots=True)
class Call(Errand):
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
        """A call that is being made.

        It costs nothing until it is out, then its bound until more is known, and nothing again if
        it turns out that the engine did not begin it.
        """
        call = Call()
        self.calls.append(call)
        try:
            yield call
        except Unbegun:
            call.out = False
            raise

    @property
    def cost(self) -> Cost:
        """All of it together.

        The prompt is one, however many calls brought the samples. What siblings compute again of
        it (the block that the cache does not hold in full) counts up to the prompt's length.
        """
        calls = [call for call in self.calls if call.out]
        if not calls:
            return FREE
        prompt = len(self.request.prompt)
        computed = sum(call.computed if call.known else prompt for call in calls)
        limit = self.request.max_tokens
        return Cost(
            prompt_tokens=prompt,
            cached_tokens=prompt - min(prompt, computed),
            output_tokens=sum(call.output if call.known else limit for call in calls),
            samples=len(calls),
            calls=1,
        )
