"""Engine: the models, processes and connections that searches share, and how to start one."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Self

import anyio
import anyio.to_thread

from tts.answers import AnswerChecker
from tts.budget.bank import Bank
from tts.budget.budget import UNLIMITED, Amount, Budget
from tts.budget.purse import Purse
from tts.errors import ConfigError, TTSError, leaves
from tts.events import Event
from tts.function import Scorer, Writer
from tts.given import policy_of, problem_of, selector_of, strategy_of, verifier_of
from tts.policy import Policy
from tts.presets import presets
from tts.result import Result
from tts.run import Plan, Pool, Run
from tts.select import Selector
from tts.spec import parse
from tts.strategy import Strategy
from tts.types import Manner, Problem
from tts.verifier import Verifier, closed, opened

Listener = Callable[[Event], None]


class Engine:
    """Solves problems. An async context manager; one engine serves many searches at once.

    Nothing is shared between searches but what costs much to make: models with their prefix
    caches, and worker processes.
    """

    def __init__(
        self,
        policy: str | Policy | Writer = "nano",
        verifier: str | Verifier | Scorer | None = None,
        *,
        select: str | Selector | None = None,
        temperature: float | None = None,
        seed: int = 0,
        speculate: int = 0,
    ) -> None:
        """
        Args:
            policy: a backend by its spec (`nano`, `nano:/path/to/model`, `vllm:http://host:8000`),
                a `Policy`, or a coroutine function from a prompt and a seed to a solution.
            verifier: a verifier by name, with knobs if need be (`likelihood:reduction=min`; see
                `tts verifiers`), a `Verifier`, a coroutine function from a prompt and the steps so
                far to a score for each, or None.
            select: `majority`, `weighted`, `best`, `probable`, or a function; None: a preset's, or
                `probable` by what the strategy believes (`voi`), or `weighted` with a verifier,
                `majority` without.
            temperature: of all samples for which a strategy does not ask for another; None: a
                preset's, or what the model's makers advise.
            seed: of all searches that are not given their own.
            speculate: how many promising steps a search may continue at a time while the verdicts
                on them are outstanding. Saves time, wastes tokens, changes no sample.

        Raises:
            ConfigError: a name is unknown, or a model cannot be loaded.
            BackendError: a server cannot be reached. Servers are asked what they serve here, which
                can take a while: see `open`.
        """
        self._select = selector_of(select)
        self._temperature = Manner(temperature).temperature  # which checks it
        self._policy = policy_of(policy)
        self._verifier = verifier_of(verifier)
        self._seed = seed
        if speculate < 0:
            raise ConfigError(f"speculate={speculate} must be 0 or above")
        self._speculate = speculate
        self._checker = AnswerChecker()
        self._resources = AsyncExitStack()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        policy: str | Policy | Writer = "nano",
        verifier: str | Verifier | Scorer | None = None,
        **settings: Any,
    ) -> AsyncIterator[Self]:
        """An engine made and entered while the event loop goes on: `async with Engine.open(...)`.

        Models are loaded, and servers asked what they serve, in a thread. Arguments and errors are
        those of `Engine`.
        """
        make = partial(cls, policy, verifier, **settings)
        async with await anyio.to_thread.run_sync(make, abandon_on_cancel=True) as engine:
            yield engine

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(closed, self._policy)
            await stack.enter_async_context(self._checker)
            if self._verifier is not None:
                await stack.enter_async_context(opened(self._verifier))
            self._resources = stack.pop_all()
        return self

    async def __aexit__(self, *exception: Any) -> None:
        await self._resources.__aexit__(*exception)

    @property
    def policy(self) -> Policy:
        return self._policy

    @property
    def verifier(self) -> Verifier | None:
        return self._verifier

    async def solve(
        self,
        problem: str | Problem,
        strategy: str | Strategy = "best_of_n",
        budget: Budget = UNLIMITED,
        *,
        seed: int | None = None,
        on_event: Listener | None = None,
    ) -> Result:
        """Search for the answer to `problem`; see `start` for the arguments.

        Cancelling the caller cancels the search, down to the engines.

        Raises:
            ConfigError: an argument cannot be used.
            BackendError: an engine failed before there was a single finished candidate.
        """
        return await self.start(problem, strategy, budget, seed=seed, on_event=on_event)()

    def start(
        self,
        problem: str | Problem,
        strategy: str | Strategy = "best_of_n",
        budget: Budget = UNLIMITED,
        *,
        seed: int | None = None,
        on_event: Listener | None = None,
        pool: Pool | None = None,
    ) -> Run:
        """A search that begins when it is awaited: `result = await run()`.

        Meanwhile `run.cancel()` ends it, with what was found until then, and `run.events()` gives
        its events as they happen to another task.

        Args:
            problem: the question, or a `Problem` with an id of its own.
            strategy: by name, with knobs if need be (`beam:n=8,width=2`), a preset, or a value.
            budget: hard limits.
            seed: decides every sample together with the problem's id; the engine's own if None.
            on_event: called with each event as it happens; must return quickly.
            pool: limits shared with other searches.
        """
        asked = problem_of(problem, "problem")
        if not isinstance(budget, Budget):
            raise ConfigError(f"budget={budget!r} is not a Budget, such as Budget(tokens=8000)")
        preset = presets().get(parse(strategy).name) if isinstance(strategy, str) else None
        plan = Plan(
            strategy=strategy_of(strategy),
            budget=budget,
            seed=self._seed if seed is None else seed,
            selector=self._select or selector_of(None if preset is None else preset.select),
            temperature=self._temperature
            if self._temperature is not None or preset is None
            else preset.temperature,
            speculate=self._speculate,
        )
        return Run(
            asked, plan, self._policy, self._verifier, self._checker, pool=pool, listener=on_event
        )

    async def solve_all(
        self,
        problems: Iterable[str | Problem],
        strategy: str | Strategy = "best_of_n",
        budget: Budget = UNLIMITED,
        *,
        together: Budget = UNLIMITED,
        parts: int = 1,
        at_once: int = 256,
        on_result: Callable[[Result], None] | None = None,
    ) -> list[Result]:
        """Solve many problems side by side; results come back in the order of `problems`.

        Args:
            problems: each with an id of its own, for the seeds; texts are called `problem-0` and
                so on, by where they stand.
            strategy: for each of them.
            budget: of each of them.
            together: limits for all of them together; a problem that is done early leaves more
                to the others.
            parts: in how many parts a problem's even share of `together` is given out. With one,
                all draw on it as they come, and the first may leave nothing to the others. With
                more, whoever has used up a part gets another if a sample more is worth as much
                there as elsewhere: compute moves from problems whose samples agree to others. For
                strategies that go on as long as they can.
            at_once: most problems in progress.
            on_result: called with each result as it comes.

        Raises:
            ConfigError: an argument cannot be used, or an id occurs twice.
            BackendError: an engine failed.
        """
        asked = [problem_of(problem, f"problem-{index}") for index, problem in enumerate(problems)]
        ids = [problem.id for problem in asked]
        if len(set(ids)) < len(ids):
            raise ConfigError("two problems have the same id, so that they would share samples")
        if at_once < 1:
            raise ConfigError(f"at_once={at_once} must be at least 1")
        if parts < 1:
            raise ConfigError(f"parts={parts} must be at least 1")
        deadline = anyio.current_time() + (together.seconds or math.inf)
        pools = _pools(together, parts, len(asked), at_once, deadline)
        runs = [
            self.start(problem, strategy, budget, pool=pool)
            for problem, pool in zip(asked, pools, strict=True)
        ]
        results: dict[int, Result] = {}
        waiting = iter(enumerate(runs))

        async def work() -> None:
            for index, run in waiting:
                result = results[index] = await run()
                if on_result is not None:
                    on_result(result)

        try:
            async with anyio.create_task_group() as group:
                # Who waits for the bank leaves its place to others.
                banked = parts > 1 and any(map(math.isfinite, together.amount))
                for _ in range(len(asked) if banked else min(at_once, len(asked))):
                    group.start_soon(work)
        except* TTSError as errors:
            raise leaves(errors)[0] from None
        return [results[index] for index in range(len(asked))]


def solve_sync(
    problem: str | Problem,
    strategy: str | Strategy = "best_of_n",
    budget: Budget = UNLIMITED,
    *,
    on_event: Listener | None = None,
    **engine: Any,
) -> Result:
    """`Engine(**engine).solve(...)` for code that is not async; works in a running loop too.

    The search runs on an event loop in a thread of its own, so that a notebook's loop is left
    alone. Ctrl-C cancels it.
    """
    from anyio.from_thread import start_blocking_portal

    async def search() -> Result:
        async with Engine(**engine) as opened:
            return await opened.solve(problem, strategy, budget, on_event=on_event)

    with start_blocking_portal() as portal:
        future = portal.start_task_soon(search)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


def _pools(
    together: Budget, parts: int, problems: int, at_once: int, deadline: float
) -> list[Pool]:
    """For each problem what it shares with the others."""
    if parts == 1 or not problems:
        return [Pool(Purse(together.amount), deadline)] * problems
    part = Amount(*(limit / (parts * problems) for limit in together.amount))
    # If all of them worked at the same time, nobody would have to wait for a higher bid.
    bank = Bank(together.amount, part, max(1, min(at_once, problems // 2)))
    clients = [bank.open() for _ in range(problems)]
    return [Pool(client.purse, deadline, client) for client in clients]
