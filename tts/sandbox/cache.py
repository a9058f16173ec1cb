"""Remember finished snippets, and run identical ones that arrive together only once.

Votes on the same step often write the same code. What ran to its end or raised is a fact about the
text; a timeout, a kill or a crash is one about the moment and is forgotten. Text that asks for the
time, for entropy or for an object's address is never shared.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import anyio

from .outcome import Outcome, Status
from .parsing import parse

_VOLATILE = re.compile(
    r"\b(time|perf_counter\w*|monotonic\w*|process_time\w*|timeit|datetime|now|today|utcnow|urandom"
    r"|getrandom|secrets|uuid\w*|SystemRandom|getpid|getppid|id|default_rng|object|__repr__|hash"
    r"|resource|psutil|getrusage|times|clock\w*)\b"
)


@dataclass(slots=True)
class Counters:
    """What a pool has done so far."""

    run: int = 0  # snippets handed to the zygote
    remembered: int = 0  # answered from the cache
    coalesced: int = 0  # answered by an identical one that was in flight
    crashed: int = 0  # lost to a zygote's death, before their second chance
    restarts: int = 0  # of the zygote


def shareable(code: str) -> bool:
    """Whether two runs of `code` print the same."""
    return _VOLATILE.search(code) is None


def _normal_form(code: str) -> str:
    """The syntax tree without comments, layout and positions; the text itself when it has none."""
    try:
        return ast.dump(parse(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code


def key(code: str, prelude: Sequence[str], limits: str) -> str:
    """One name for all snippets that must have the same outcome under the same `limits`."""
    digest = hashlib.sha256()
    for part in (limits, *map(_normal_form, prelude), _normal_form(code)):
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


class _Flight:
    """A run that others wait for. `outcome` stays None if it was cancelled or lost."""

    __slots__ = ("landed", "outcome")

    def __init__(self) -> None:
        self.landed = anyio.Event()
        self.outcome: Outcome | None = None


class Cache:
    """The last `entries` outcomes by key, and the runs in flight."""

    def __init__(self, entries: int, counters: Counters) -> None:
        self._entries = entries
        self._counters = counters
        self._outcomes: OrderedDict[str, Outcome] = OrderedDict()
        self._flights: dict[str, _Flight] = {}

    async def get(self, name: str, run: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """The outcome known by `name`, or that of `run`, which at most one caller executes.

        A caller who waits for another's run takes over when that one is cancelled or lost.
        """
        while (known := self._outcomes.get(name)) is None:
            flight = self._flights.get(name)
            if flight is None:
                return await self._fly(name, run)
            await flight.landed.wait()
            if flight.outcome is not None:
                self._counters.coalesced += 1
                return replace(flight.outcome, cached=True)
        self._outcomes.move_to_end(name)
        self._counters.remembered += 1
        return replace(known, cached=True)

    async def _fly(self, name: str, run: Callable[[], Awaitable[Outcome]]) -> Outcome:
        flight = self._flights[name] = _Flight()
        try:
            outcome = await run()
            if outcome.status is not Status.CRASHED:
                flight.outcome = outcome
            if outcome.status in (Status.OK, Status.ERROR):
                self._outcomes[name] = outcome
                if len(self._outcomes) > self._entries:
                    self._outcomes.popitem(last=False)
            return outcome
        finally:
            del self._flights[name]
            flight.landed.set()
