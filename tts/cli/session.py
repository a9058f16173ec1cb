"""A session: one search from the opened engine to its result, watched, and stopped by Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from tts.cli.interrupt import interruptible
from tts.cli.order import Order
from tts.errors import leaves
from tts.types import Problem

if TYPE_CHECKING:
    from pathlib import Path

    from tts.budget.budget import Budget, Rates
    from tts.engine import Engine
    from tts.events import Event
    from tts.result import Result
    from tts.select import Selector


@dataclass(frozen=True, slots=True)
class Ended:
    """A search that is over."""

    result: Result
    budget: Budget
    rates: Rates
    correct: bool | None
    """Whether the answer is the problem's; None if that is not known."""


async def search(
    problem: Problem, order: Order, *, quiet: bool = False, events: Path | None = None
) -> Ended:
    """Search as ordered, telling of it on stderr unless `quiet`; log `events` to a file.

    Raises:
        TTSError: as `Engine` and `Engine.solve` do; whatever can be checked first is.
    """
    from tts.engine import Engine

    budget, strategy = order.make_budget(), order.make_strategy()
    selector, verifier = order.make_selector(strategy), order.make_verifier()
    engine = Engine(
        order.policy,
        verifier,
        select=selector,
        temperature=order.own_temperature,
        seed=order.seed,
        speculate=order.speculate or 0,
    )
    with _logged(events) as log:
        try:
            async with engine:
                rates = _rates(engine)
                hear, run_progress = _spectator(order, budget, rates, selector, quiet=quiet)

                def on_event(event: Event) -> None:
                    log(event)
                    hear(event)

                run = engine.start(problem, strategy, budget, on_event=on_event)
                async with anyio.create_task_group() as group:
                    group.start_soon(run_progress)
                    with interruptible(run.cancel):
                        result = await run()
                    group.cancel_scope.cancel()
        except* Exception as errors:
            raise leaves(errors)[0] from None
    return Ended(result, budget, rates, await _is_correct(result))


@contextmanager
def _logged(path: Path | None) -> Iterator[Callable[[Event], None]]:
    """A listener that writes events to `path`. A full disk ends the log, not the search."""
    from tts.log import LogWriter

    if path is None:
        yield lambda event: None
        return
    writer, complaints = LogWriter(path), list[OSError]()

    def listen(event: Event) -> None:
        if not complaints:
            try:
                writer(event)
            except OSError as error:
                complaints.append(error)

    try:
        yield listen
    finally:
        try:
            writer.__exit__(None, None, None)
        except OSError as error:
            complaints.append(error)
        if complaints:
            reason = complaints[0].strerror
            print(f"warning: {path} does not hold all events: {reason}", file=sys.stderr)


def _rates(engine: Engine) -> Rates:
    from tts.terms import rates_of

    return rates_of(engine.policy.model, None if engine.verifier is None else engine.verifier.model)


def _spectator(
    order: Order, budget: Budget, rates: Rates, selector: Selector, *, quiet: bool
) -> tuple[Callable[[Event], None], Callable[[], Coroutine[object, object, None]]]:
    """Who hears the events, and who shows them."""
    from tts.cli.progress import show
    from tts.cli.watch import Watch

    watch = Watch(budget, rates, selector)
    title = " · ".join(filter(None, (order.strategy, order.policy, order.verifier)))
    if quiet:
        return watch.hear, anyio.lowlevel.checkpoint
    return watch.hear, lambda: show(watch, title)


async def _is_correct(result: Result) -> bool | None:
    from tts.answers import AnswerChecker, Verdict, grade

    if result.problem.answer is None:
        return None
    # Answers of examples are integers: notation decides, no worker is needed.
    async with AnswerChecker(workers=0) as checker:
        return await grade(result.answer, result.problem.answer, checker) is Verdict.EQUAL
