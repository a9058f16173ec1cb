"""Worker: the thread that steps the engine, so that no event loop ever waits for a product.

A request comes in as a ticket and goes out once, when it is done: all that finish in one step are
handed to their event loop in one callback. Whatever happens to the thread, no ticket is forgotten.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, Protocol, TypeVar

from tts.backends.base import Generation, Request
from tts.errors import BackendError, Unavailable
from tts.types import FREE, Cost


class Work(Protocol):
    """A request inside an engine; hashable by identity."""

    @property
    def cost(self) -> Cost:
        """Exact once the engine has let go of it."""
        ...

    @property
    def generation(self) -> Generation:
        """The reply, once it is done."""
        ...


Job = TypeVar("Job", bound=Work)


class Steps(Protocol[Job]):
    """An engine without threads or clocks. Only one thread at a time calls it."""

    @property
    def busy(self) -> bool:
        """Whether a step would do anything."""
        ...

    def submit(self, request: Request) -> Job:
        """Take in a request whose prompt leaves room in the context."""
        ...

    def cancel(self, job: Job) -> None:
        """Drop a job, wherever it is, and book what it took."""
        ...

    def step(self) -> list[Job]:
        """Admit what fits, decode a token of each sample; the jobs done by that."""
        ...


Reply = Generation | BackendError | None
"""What a ticket's future is settled with; None: it was cancelled."""


@dataclass(eq=False, slots=True)
class Ticket(Generic[Job]):
    """A request on its way through the worker."""

    request: Request
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[Generation | None]
    """Settled when the request is done or dropped."""
    job: Job | None = None
    cost: Cost = FREE
    """Exact once `done` is."""


class Worker(Generic[Job]):
    """Runs an engine in a thread of its own, from the first request until closed."""

    def __init__(self, engine: Steps[Job], name: str) -> None:
        """`name`: of the engine, for its thread and its errors."""
        self._engine = engine
        self._name = name
        self._inbox: SimpleQueue[tuple[str, Ticket[Job] | None]] = SimpleQueue()
        self._open: dict[Job, Ticket[Job]] = {}
        # Protects the two below: whether the thread takes tickets, seen from any thread.
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._refusal: BackendError | None = None

    def submit(self, request: Request, loop: asyncio.AbstractEventLoop) -> Ticket[Job]:
        """Hand a request over; called in `loop`.

        Raises:
            Unavailable: the worker is closed, or the engine died.
        """
        ticket: Ticket[Job] = Ticket(request, loop, loop.create_future())
        with self._lock:
            if self._refusal is not None:
                raise Unavailable(str(self._refusal))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name=f"tts-{self._name}", daemon=True
                )
                self._thread.start()
            self._inbox.put(("submit", ticket))
        return ticket

    def cancel(self, ticket: Ticket[Job]) -> None:
        """Stop serving a ticket; its future gets None, unless something else came first."""
        self._inbox.put(("cancel", ticket))

    def close(self) -> None:
        """Fail what is waiting and end the thread; returns when it has ended. Idempotent."""
        with self._lock:
            self._refusal = self._refusal or Unavailable(f"the {self._name} engine is closed")
            thread = self._thread
        if thread is not None:
            self._inbox.put(("close", None))
            thread.join()

    def _run(self) -> None:
        try:
            while self._receive():
                finished = self._engine.step()
                self._deliver([(self._close(job), job.generation) for job in finished])
            reason: BackendError = Unavailable(f"the {self._name} engine is closed")
        except BaseException as error:  # whatever it is, those who wait must hear of it
            reason = BackendError(f"the {self._name} engine died: {type(error).__name__}: {error}")
            reason.__cause__ = error
        with self._lock:  # from here on nothing comes in
            self._refusal = self._refusal or reason
        self._fail(reason)

    def _receive(self) -> bool:
        """Take what came in; wait for something if there is nothing to do. False: close."""
        while not self._inbox.empty() or not self._engine.busy:
            match self._inbox.get():
                case ("submit", Ticket() as ticket):
                    ticket.job = self._engine.submit(ticket.request)
                    self._open[ticket.job] = ticket
                case ("cancel", Ticket(job=job)) if job is not None and job in self._open:
                    self._engine.cancel(job)
                    self._deliver([(self._close(job), None)])
                case ("close", _):
                    return False
        return True

    def _close(self, job: Job) -> Ticket[Job]:
        """The ticket of a job that is over, with what it cost."""
        ticket = self._open.pop(job)
        ticket.cost = job.cost
        return ticket

    def _fail(self, reason: BackendError) -> None:
        """Tell everybody who waits; book what was computed for them."""
        tickets = list(self._open.values())
        while not self._inbox.empty():
            kind, ticket = self._inbox.get()
            if kind == "submit" and ticket is not None:
                tickets.append(ticket)
        for ticket in tickets:
            if not isinstance(reason, Unavailable):
                ticket.cost = ticket.request.bound  # what it was, nobody can tell any more
            elif ticket.job is not None:
                self._engine.cancel(ticket.job)
                ticket.cost = ticket.job.cost
        self._open.clear()
        self._deliver([(ticket, reason) for ticket in tickets])

    def _deliver(self, replies: Sequence[tuple[Ticket[Job], Reply]]) -> None:
        """Settle futures, with one callback for each event loop."""
        loops: dict[asyncio.AbstractEventLoop, list[tuple[Ticket[Job], Reply]]] = {}
        for ticket, reply in replies:
            loops.setdefault(ticket.loop, []).append((ticket, reply))
        for loop, settled in loops.items():
            try:
                loop.call_soon_threadsafe(_settle, settled)
            except RuntimeError:  # the loop is closed: nobody waits there any more
                continue


def _settle(replies: Sequence[tuple[Ticket[Job], Reply]]) -> None:
    for ticket, reply in replies:
        if ticket.done.done():
            continue
        if isinstance(reply, BackendError):
            error = type(reply)(str(reply))  # each its own: raising writes into it
            error.__cause__ = reply.__cause__
            ticket.done.set_exception(error)
        else:
            ticket.done.set_result(reply)
