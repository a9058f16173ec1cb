"""The checker: are two answers the same? Asked from any event loop, answered within a deadline."""

from __future__ import annotations

import importlib.util
import math
from collections import OrderedDict
from types import TracebackType
from typing import Self

import anyio

from tts.answers.equivalence import Verdict, is_plain, normalise, quick_verdict
from tts.answers.workers import WorkerPool
from tts.errors import ConfigError, TTSError

_Pair = tuple[str, str]
"""Two normal forms in ascending order: the cache knows no sides."""


class AnswerChecker:
    """Compares answers: by notation in this process, else with math-verify in a worker process.

    `async with AnswerChecker() as checker: await checker.equal(a, b)`

    - `workers`: processes at most, >= 0; the first starts with the first comparison that needs
      algebra. 0 is a checker without math-verify, for which such a comparison is UNKNOWN.
    - `deadline_seconds`: > 0, for each comparison, not counting the wait for a free worker. A
      late worker is killed and the verdict is UNKNOWN.
    - `memory_bytes`: of address space for each worker, where the system can limit it.
    - `cache_size`: verdicts remembered, the least recently used dropped first.

    A checker belongs to the event loop that entered it, in whatever thread that runs. A cancelled
    comparison kills its worker; others that wait for the same pair start it anew.
    """

    def __init__(
        self,
        *,
        workers: int = 1,
        deadline_seconds: float = 5.0,
        memory_bytes: int = 1 << 30,
        cache_size: int = 65_536,
    ) -> None:
        if workers < 0:
            raise ConfigError(f"workers must be >= 0, not {workers}")
        if not (deadline_seconds > 0 and math.isfinite(deadline_seconds)):
            raise ConfigError(f"deadline_seconds must be > 0 and finite, not {deadline_seconds}")
        if memory_bytes <= 0:
            raise ConfigError(f"memory_bytes must be > 0, not {memory_bytes}")
        if cache_size < 0:
            raise ConfigError(f"cache_size must be >= 0, not {cache_size}")
        self._workers = workers
        self._deadline_seconds = deadline_seconds
        self._memory_bytes = memory_bytes
        self._verdicts = _Recent(cache_size)
        self._flights: dict[_Pair, _Flight] = {}
        self._hopeless = _Hopeless()
        self._pool: WorkerPool | None = None
        self._open = False

    @property
    def workers_started(self) -> int:
        """Processes started so far; more than `workers` where some were killed."""
        return 0 if self._pool is None else self._pool.started

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """The process ids of the workers that are alive."""
        return () if self._pool is None else self._pool.pids

    async def __aenter__(self) -> Self:
        """Open the checker; starts no process. ConfigError if math-verify is not installed."""
        if self._open:
            raise RuntimeError("the answer checker is open already")
        if self._workers > 0:
            # Looked for, not imported: sympy stays out of this process.
            if importlib.util.find_spec("math_verify") is None:
                raise ConfigError(
                    "comparing answers needs math-verify; install it, or pass workers=0 to "
                    "compare by notation only"
                )
            self._pool = WorkerPool(
                self._workers,
                deadline_seconds=self._deadline_seconds,
                memory_bytes=self._memory_bytes,
            )
        self._open = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Kill the workers and wait until they are gone."""
        self._open = False
        if self._pool is not None:
            await self._pool.aclose()

    async def equal(self, left: str, right: str) -> Verdict:
        """Whether two answers are the same. Symmetric; an empty answer is like no other.

        Two empty answers are UNKNOWN. Errors: TTSError if a worker cannot be started,
        RuntimeError if the checker is not open.
        """
        if not self._open:
            raise RuntimeError("the answer checker is not open: use 'async with'")
        one, other = sorted((normalise(left), normalise(right)))
        verdict = quick_verdict(one, other)
        if verdict is not None:
            return verdict
        if self._pool is None:
            return Verdict.UNKNOWN
        return await self._shared((one, other), self._pool)

    async def _shared(self, pair: _Pair, pool: WorkerPool) -> Verdict:
        """The verdict on `pair`, from the cache or from the one comparison of it in flight."""
        while True:
            known = self._verdicts.get(pair)
            if known is not None:
                return known
            if self._hopeless.is_hopeless(pair):
                return Verdict.UNKNOWN
            flight = self._flights.get(pair)
            if flight is None:
                return await self._lead(pair, pool)
            await flight.landed.wait()
            if flight.error is not None:
                raise TTSError(str(flight.error))
            if flight.verdict is not None:
                return flight.verdict
            # Its leader was cancelled: somebody else leads now, or we do.

    async def _lead(self, pair: _Pair, pool: WorkerPool) -> Verdict:
        flight = self._flights[pair] = _Flight()
        try:
            timely = await pool.compare(*pair)
        except TTSError as error:
            flight.error = error
            raise
        else:
            if timely is None:
                self._hopeless.add_late(pair)
            else:
                self._hopeless.add_timely(pair)
            verdict = flight.verdict = timely or Verdict.UNKNOWN
            self._verdicts.put(pair, verdict)
            return verdict
        finally:
            del self._flights[pair]
            flight.landed.set()


class _Flight:
    """One comparison that a worker is asked for, and who waits for it."""

    def __init__(self) -> None:
        self.landed = anyio.Event()
        self.verdict: Verdict | None = None
        self.error: TTSError | None = None


class _Recent:
    """The verdicts on the most recently used pairs."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._verdicts: OrderedDict[_Pair, Verdict] = OrderedDict()

    def get(self, pair: _Pair) -> Verdict | None:
        verdict = self._verdicts.get(pair)
        if verdict is not None:
            self._verdicts.move_to_end(pair)
        return verdict

    def put(self, pair: _Pair, verdict: Verdict) -> None:
        self._verdicts[pair] = verdict
        while len(self._verdicts) > self._size:
            self._verdicts.popitem(last=False)


class _Hopeless:
    """Forms that only ever hang, so that one of them does not cost a deadline per class.

    A form is given up when it was late with three partners and never in time with any. Numbers and
    words are never given up: the usual answer is compared with everything strange.
    """

    def __init__(self, patience: int = 3, size: int = 4_096) -> None:
        self._patience = patience
        self._size = size
        self._late: OrderedDict[str, int] = OrderedDict()
        self._timely: OrderedDict[str, None] = OrderedDict()

    def is_hopeless(self, pair: _Pair) -> bool:
        return any(self._late.get(form, 0) >= self._patience for form in pair)

    def add_timely(self, pair: _Pair) -> None:
        for form in pair:
            self._timely[form] = None
            self._late.pop(form, None)
        while len(self._timely) > self._size:
            self._timely.popitem(last=False)

    def add_late(self, pair: _Pair) -> None:
        for form in pair:
            if form not in self._timely and not is_plain(form):
                self._late[form] = self._late.get(form, 0) + 1
        while len(self._late) > self._size:
            self._late.popitem(last=False)
