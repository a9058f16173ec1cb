"""One run: a strategy on a problem, inside its budget, to a result."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

import anyio

from tts.answers import Comparer, extract_answer, group
from tts.bid import worth_of_more
from tts.budget.bank import Client
from tts.budget.budget import Budget
from tts.budget.evidence import Evidence, evidence_of
from tts.budget.ledger import Ledger, Listener
from tts.budget.purse import Purse
from tts.errors import BackendError, ConfigError, TTSError, leaves
from tts.events import Event, Held, Judged, Settled, Started, Stopped, StopReason
from tts.journal import Journal
from tts.policy import Policy
from tts.result import Result, Spend
from tts.search import RunningSearch
from tts.select import Candidate, Selector, fitting, name_of
from tts.strategy import Strategy
from tts.terms import check_limits, rates_of, reserve
from tts.tree import Node, Tree
from tts.types import POLICY, Problem
from tts.verifier import Verifier
from tts.waste import waste


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides how a search goes, but for the models."""

    strategy: Strategy
    budget: Budget
    seed: int
    selector: Selector | None = None
    """None: `weighted` with a verifier, `majority` without."""
    temperature: float | None = None
    """Of all samples for which the strategy does not ask for another; None: the policy's own."""
    speculate: int = 0
    """Most continuations written at once before anybody has asked for them; see `tts.ahead`."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Limits that several runs share."""

    purse: Purse
    deadline: float = math.inf
    """On the event loop's clock, seconds."""
    client: Client | None = None
    """Of a bank that gives more into the purse, where this search's is one of several."""


class Run:
    """A search that has not begun, goes on, or has ended. `result = await run()`, once."""

    def __init__(
        self,
        problem: Problem,
        plan: Plan,
        policy: Policy,
        verifier: Verifier | None,
        checker: Comparer,
        *,
        pool: Pool | None = None,
        listener: Callable[[Event], None] | None = None,
    ) -> None:
        """`listener` hears each event as it happens.

        Raises:
            ConfigError: the strategy needs a verifier and there is none, or something is limited
                that a model does not tell.
        """
        name = type(plan.strategy).__name__
        if plan.strategy.needs_verifier and verifier is None:
            raise ConfigError(f"{name} decides by verdicts: give it a verifier")
        self.problem = problem
        self._plan = plan
        self._policy = policy
        self._verifier = verifier
        self._checker = checker
        self._journal = Journal(listener)
        self._scope = anyio.CancelScope()
        self._reason = StopReason.DONE
        self._deadline = math.inf if pool is None else pool.deadline
        self._client = None if pool is None else pool.client
        self._purse = Purse(plan.budget.amount, reserve(plan.budget, policy.model))
        models = policy.model, None if verifier is None else verifier.model
        limit = plan.budget.amount if pool is None else plan.budget.amount.at_most(pool.purse.limit)
        check_limits(limit, *models)
        self._ledger = Ledger(
            rates_of(*models),
            self._purse,
            pool=None if pool is None else pool.purse,
            give_up=lambda: self._stop(StopReason.BUDGET),
            ask=None if pool is None or pool.client is None else self._ask,
            listener=Listener(
                held=lambda hold, bounds, key: self._journal.tell(Held(hold, bounds, key)),
                settled=lambda hold, who, meter: self._journal.tell(
                    Settled(hold, who, meter.cost, meter.wasted)
                ),
            ),
        )
        self._search = RunningSearch(
            replace(problem, answer=None),  # which is for graders alone
            policy,
            verifier,
            checker,
            self._ledger,
            self._journal,
            plan.seed,
            plan.temperature,
            plan.budget.limits(),
            plan.speculate,
        )

    def cancel(self) -> None:
        """End the search now; its result holds what was found until then. Idempotent."""
        self._stop(StopReason.CANCELLED)

    async def events(self) -> AsyncIterator[Event]:
        """Every event from the first on, as it happens; ends when the search does."""
        index = 0
        while True:
            while index < len(self._journal.events):
                event = self._journal.events[index]
                index += 1
                yield event
                if isinstance(event, Stopped):
                    return
            await self._journal.news()

    async def __call__(self) -> Result:
        """Search to the end, and choose.

        Raises:
            BackendError: an engine failed before there was a single finished candidate.
            ConfigError: the problem cannot be put to this policy.
        """
        begin = anyio.current_time()
        self._journal.tell(self._started())
        errors: list[BaseException] = []
        deadline = min(self._deadline, begin + (self._plan.budget.seconds or math.inf))
        try:
            try:
                await self._work(deadline)
            except anyio.get_cancelled_exc_class():  # never by `except*`, which would wrap it
                self._reason = StopReason.CANCELLED
                raise
        except* TTSError as group_of_errors:
            self._reason = StopReason.FAILED
            errors = leaves(group_of_errors)
        finally:
            if self._client is not None:
                self._client.close()
            self._journal.tell(Stopped(self._reason))
        dead_engine = all(isinstance(error, BackendError) for error in errors)
        if errors and not (dead_engine and self._journal.tree.answers()):
            raise errors[0] from None
        return await self._conclude(
            anyio.current_time() - begin, tuple(str(error) for error in errors)
        )

    async def _work(self, deadline: float) -> None:
        with anyio.CancelScope(deadline=deadline) as clock:
            with self._scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._keep_time, deadline)
                    self._search.ahead.open(group)
                    await self._plan.strategy.run(self._search)
                    group.cancel_scope.cancel()
            if self._reason is StopReason.DONE and self._journal.cut_short:
                self._reason = StopReason.BUDGET
            if self._reason is not StopReason.CANCELLED and not self._journal.tree.answers():
                await self._finish()
        if clock.cancelled_caught:
            self._reason = StopReason.DEADLINE

    async def _keep_time(self, deadline: float) -> None:
        """Stop the strategy as long as there is still time to finish the best that it began.

        Like the ledger's reserve it is at most a quarter of the whole, and is given back with the
        first answer. An answer that is being written to its end is nearer to it than one begun now.
        """
        tree, pace = self._journal.tree, self._search.pace
        now = anyio.current_time()
        quarter = (deadline - now) / 4
        if math.isinf(quarter):
            return
        await anyio.sleep(max(0.0, 3 * quarter))
        while not tree.answers():
            needed = pace.seconds(self._search.tokens_left(_most_promising(tree)))
            spare = deadline - min(needed, quarter) - anyio.current_time()
            if spare > 0:
                await anyio.sleep(spare)
            elif pace.whole or math.isinf(needed):
                await self._journal.news()
            else:
                self._stop(StopReason.DEADLINE)
                return

    async def _finish(self) -> None:
        """Bring the best that was begun to an end, with what was kept back for it.

        A strategy that had done all that it wanted may have left nothing open: then that is that.
        """
        self._ledger.release_reserve()
        leaf = _most_promising(self._journal.tree)
        if self._reason is StopReason.DONE and leaf is self._journal.tree.root:
            return
        room = self._ledger.room()
        prompt = self._search.cost_of_asking(leaf)
        affordable = self._ledger.rates.output_within(POLICY, room, prompt)
        max_tokens = min(self._search.tokens_left(leaf), affordable)
        if max_tokens < 1:
            return
        with anyio.CancelScope() as self._scope:
            await self._search.finish(leaf, max_tokens)

    def _ask(self) -> None:
        """For more from the bank, with what a sample more would add, for its price, as the bid."""
        assert self._client is not None
        if self._client.waiting:
            return
        spent = self._purse.spent
        bid = worth_of_more(
            self._journal.tree,
            evidence_of(self._plan.strategy) or Evidence(),
            spent.flops or spent.tokens or spent.samples,
        )
        self._client.ask(bid, self._ledger.fix_pool)

    def _stop(self, reason: StopReason) -> None:
        """The first reason stands, but for a cancellation, after which nothing is finished."""
        events = self._journal.events
        if events and isinstance(events[-1], Stopped):
            return
        if reason is StopReason.CANCELLED or not self._scope.cancel_called:
            self._reason = reason
            self._scope.cancel()

    def _started(self) -> Started:
        verifier = self._verifier
        model = None if verifier is None else verifier.model
        return Started(
            self.problem,
            self._plan.seed,
            repr(self._plan.strategy),
            self._policy.model.name,
            None if verifier is None else type(verifier).__name__ if model is None else model.name,
        )

    async def _conclude(self, seconds: float, errors: tuple[str, ...]) -> Result:
        journal = self._journal
        # By key, so that ties do not go to whoever happened to be the first to finish.
        ends = sorted(journal.tree.ends(), key=lambda node: node.key)
        texts = [node.text for node in ends]
        # A text cut at a limit states no answer, whatever is written in it.
        answers = [
            extract_answer(text) if node.answered else None
            for node, text in zip(ends, texts, strict=True)
        ]
        classes = await group(answers, self._checker)
        candidates = tuple(
            Candidate(node.key, text, answer, label, node.score, node.votes, node.covered)
            for node, text, answer, label in zip(ends, texts, answers, classes.labels, strict=True)
        )
        judged = self._verifier is not None
        selector = self._plan.selector or fitting(self._plan.strategy, judged=judged)
        choice = selector(candidates)
        wasted = waste(journal.events, journal.tree)
        return Result(
            problem=self.problem,
            answer=None if choice is None else _answer(choice.candidate, classes.representatives),
            confidence=0.0 if choice is None else choice.share,
            selector=name_of(selector),
            best=None if choice is None else choice.candidate,
            candidates=candidates,
            stop_reason=self._reason,
            spend=Spend(
                dict(self._ledger.costs),
                self._purse.spent,
                seconds,
                wasted,
                self._ledger.rates.total(wasted),
            ),
            tree=journal.tree,
            events=tuple(journal.events),
            seed=self._plan.seed,
            errors=errors,
            abstained=sum(
                isinstance(event, Judged)
                and event.judgement is not None
                and event.judgement.score is None
                for event in journal.events
            ),
            undecided=classes.unknown,
        )


def _most_promising(tree: Tree) -> Node:
    """The open leaf with the highest score, the deepest of equals; the root if there is none."""
    leaves = [node for node in tree if not node.finished and not node.children]
    return max(leaves, key=lambda node: (node.rank, node.depth), default=tree.root)


def _answer(candidate: Candidate, representatives: tuple[str, ...]) -> str | None:
    return None if candidate.label is None else representatives[candidate.label]
