"""The running search: what a strategy's hands do. One problem, one tree, one ledger."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from types import MappingProxyType
from typing import Final

import anyio
import numpy as np

from tts.again import again
from tts.ahead import Ahead, Batch
from tts.answers import Comparer, Roll, extract_answer
from tts.budget.ledger import Ledger
from tts.config import make
from tts.contest import Contest
from tts.docket import Docket
from tts.errors import BackendError, ConfigError, Lost
from tts.events import Added, Decided
from tts.journal import Journal
from tts.keys import Keys
from tts.pace import Pace
from tts.pen import Ground, Pen
from tts.policy import Policy
from tts.seeds import node_seed
from tts.strategy import Strategy
from tts.tree import Node
from tts.types import (
    PLAIN,
    POLICY,
    VERIFIER,
    Account,
    Cost,
    Finish,
    Key,
    Manner,
    Problem,
    Revising,
    Step,
)
from tts.verifier import Verifier

SIDE_BY_SIDE: Final = 4096
"""Tasks of one kind that a search has at a time: several times what an engine's batch holds."""


class RunningSearch:
    """Implements `tts.strategy.Search`: sampling, judging, booking and telling, in that order."""

    def __init__(
        self,
        problem: Problem,
        policy: Policy,
        verifier: Verifier | None,
        checker: Comparer,
        ledger: Ledger,
        journal: Journal,
        seed: int,
        temperature: float | None = None,
        limits: Mapping[str, float] = MappingProxyType({}),
        speculate: int = 0,
    ) -> None:
        self.problem = problem
        self.rng = np.random.default_rng(node_seed(seed, problem.id, ()))
        self._policy = policy
        self._pen = Pen(problem, policy, ledger, journal, seed, temperature)
        self._docket = (
            None if verifier is None else Docket(problem, verifier, ledger, journal, seed)
        )
        self._roll = Roll(checker)
        self._ledger = ledger
        self._journal = journal
        self._limits = limits
        self.ahead = Ahead(speculate, self._write_ahead)
        """What is written before anybody has asked for it."""
        self._keys = Keys()

    @property
    def root(self) -> Node:
        return self._journal.tree.root

    @property
    def pace(self) -> Pace:
        """How fast the policy writes."""
        return self._pen.pace

    @property
    def budget_left(self) -> float:
        return self._ledger.left

    @property
    def limits(self) -> Mapping[str, float]:
        return self._limits

    @property
    def spent(self) -> Mapping[Account, float]:
        rates = self._ledger.rates
        taken: dict[Account, float] = {POLICY: 0.0, VERIFIER: 0.0}
        for account, cost in self._ledger.costs.items():
            taken[account] = rates.amount(account, cost).compute
        return taken

    @property
    def takes_instructions(self) -> bool:
        return self._pen.takes_instructions

    async def expand(
        self,
        node: Node,
        n: int = 1,
        *,
        judge: bool = True,
        manner: Manner = PLAIN,
        keep: int | None = None,
    ) -> list[Node]:
        return await self.expand_all({node: n}, judge=judge, manner=manner, keep=keep)

    async def expand_all(
        self,
        allocation: Mapping[Node, int],
        *,
        judge: bool = True,
        manner: Manner = PLAIN,
        keep: int | None = None,
    ) -> list[Node]:
        children: list[Node] = []
        contest = None if keep is None else Contest(keep)
        self.ahead.choose(list(allocation))
        docket = self._docket if judge else None
        manner = self._pen.own(manner)
        batch = Batch(manner)

        async def one(family: _Family, key: Key) -> None:
            if docket is not None:
                await docket.judge(family.parent)
            ground = family.ground
            if ground is None:
                ground = family.ground = self._ground(family.parent, manner, docket)
            children.append(await self._extend(ground, key, batch, docket, contest))

        async with anyio.create_task_group() as group:
            for parent, n in allocation.items():
                family = _Family(parent)
                for _ in range(n):
                    group.start_soon(one, family, self._keys.next(parent))
        return sorted(children, key=_by_key)

    async def complete(self, node: Node, *, judge: bool = True, manner: Manner = PLAIN) -> Node:
        return await self._complete(node, self._keys.next(node), judge, manner)

    async def judge(self, node: Node, votes: int | None = None) -> Node:
        if self._docket is not None:
            await self._docket.judge(node, votes)
        return node

    def can_complete(self, node: Node, *, manner: Manner = PLAIN) -> bool:
        manner = self._pen.own(manner)
        usual = self._pen.usual(node, max(0, self._pen.tokens_left(node, manner)))
        return self._ledger.may_fit({POLICY: self._pen.bound(node, usual, manner)})

    def can_judge(self, node: Node, votes: int | None = None, *, after: float = 0.0) -> bool:
        if self._docket is None or (bound := self._docket.next_bound(node, votes)) is None:
            return True
        price = self._ledger.rates.amount(VERIFIER, bound).compute
        return self._ledger.may_fit({VERIFIER: bound}, 1 + after / price if price else 1.0)

    async def revise(
        self, node: Node, how: Revising = Revising.AUTO, *, judge: bool = True
    ) -> Node | None:
        if not node.finished:
            raise ValueError(f"node {node.key} is not finished and cannot be revised")
        if node.first_wrong is None:
            await self.judge(node)
        if (redo := self._pen.redo(node, how)) is None:
            return None
        begin, manner = redo
        return await self._complete(begin, self._keys.revision(begin, node), judge, manner)

    def can_revise(self, node: Node, how: Revising = Revising.AUTO) -> bool:
        if (redo := self._pen.redo(node, how)) is None:
            return False
        begin, manner = redo
        return self.can_complete(begin, manner=manner)

    async def answer_class(self, node: Node) -> int | None:
        return await self._roll.label(extract_answer(node.text) if node.answered else None)

    def explain(self, action: str, reason: str) -> None:
        self._journal.tell(Decided(action, reason))

    async def follow(self, strategy: str) -> None:
        followed: Strategy = make("strategies", strategy)
        if followed.needs_verifier and self._docket is None:
            raise ConfigError(f"{strategy} decides by verdicts: give it a verifier")
        await followed.run(self)

    async def spread(self, task: Callable[[], Awaitable[object]], n: int) -> None:
        left = iter(range(n))

        async def run() -> None:
            for _ in left:
                await task()

        async with anyio.create_task_group() as group:
            for _ in range(min(n, SIDE_BY_SIDE)):
                group.start_soon(run)

    async def finish(self, node: Node, max_tokens: int) -> None:
        """Complete `node` within `max_tokens`, unjudged: the last use of a spent budget."""
        await self._write(node, self._keys.next(node), max_tokens, self._pen.own(PLAIN))

    def tokens_left(self, node: Node) -> int:
        """How many tokens an answer that begins with `node` may still take."""
        return self._pen.tokens_left(node)

    def cost_of_asking(self, node: Node) -> Cost:
        """What asking for what follows `node` costs at most before a token of it is decoded."""
        return self._pen.bound(node, 0, self._pen.own(PLAIN))

    def _ground(self, parent: Node, manner: Manner, docket: Docket | None) -> Ground:
        """What all next steps of `parent` have in common, if `docket` has them judged."""
        ground = self._pen.ground(parent, manner)
        if docket is None:
            return ground
        judging = docket.bound(parent, ground.max_tokens)
        return replace(ground, bounds={**ground.bounds, VERIFIER: judging})

    async def _extend(
        self,
        ground: Ground,
        key: Key,
        batch: Batch,
        docket: Docket | None,
        contest: Contest | None,
    ) -> Node:
        """Sample one step and have it judged, under one hold: no step is left unjudged."""
        manner = batch.manner
        if ground.max_tokens < 1:  # the answer has reached its longest at a step's boundary
            return self._add(key, Step("", finish=Finish.LENGTH), manner)
        child = await again(
            lambda: self._try_to_extend(ground, key, batch, docket, contest), self._journal.lost
        )
        if docket is not None:
            await docket.judge(child)  # nothing is left to do, unless its judgement was lost
        return child

    async def _try_to_extend(
        self,
        ground: Ground,
        key: Key,
        batch: Batch,
        docket: Docket | None,
        contest: Contest | None,
    ) -> Node:
        manner, bounds = batch.manner, ground.bounds
        if (step := await self.ahead.claim(key, manner)) is not None:
            bounds = {who: bound for who, bound in bounds.items() if who != POLICY}
            if docket is None:
                return self._add(key, step, manner)
        async with self._ledger.hold(bounds, len(key), key) as hold:
            if step is None:
                step = await self._pen.step(ground, key, manner, hold)
            if docket is None:
                return self._add(key, step, manner)
            with docket.asking(key):
                child = self._add(key, step, manner)
                self.ahead.consider(child, batch)
                try:
                    await docket.ask(child, hold, None if child.finished else contest)
                except Lost as error:
                    self._journal.lost(error)
        return child

    async def _write_ahead(self, parent: Node, key: Key, manner: Manner) -> Step | None:
        """The step `key` below `parent`, if the budget has room for it now."""
        ground = self._ground(parent, manner, None)
        if ground.max_tokens < 1 or not self._ledger.has_room(ground.bounds):
            return None
        try:
            async with self._ledger.hold(ground.bounds, len(key), key) as hold:
                return await self._pen.step(ground, key, manner, hold)
        except BackendError:  # whoever wants it asks for it, and hears of it
            return None

    async def _complete(self, node: Node, key: Key, judge: bool, manner: Manner = PLAIN) -> Node:
        manner = self._pen.own(manner)
        leaf = await self._write(node, key, self._pen.tokens_left(node, manner), manner)
        return await self.judge(leaf) if judge else leaf

    async def _write(self, node: Node, key: Key, max_tokens: int, manner: Manner) -> Node:
        if max_tokens < 1:
            return self._add(key, Step("", finish=Finish.LENGTH), manner)
        end = node
        for depth, step in enumerate(await self._pen.rest(node, key, max_tokens, manner)):
            end = self._add((*key, *(0,) * depth), step, manner)
            self._keys.go_on(end)
        return end

    def _add(self, key: Key, step: Step, manner: Manner) -> Node:
        self._journal.tell(Added(key, step, manner))
        if step.finish is Finish.EOS:
            self._ledger.release_reserve()  # there is an answer: nothing has to be kept back
        return self._journal.tree[key]


@dataclass(slots=True)
class _Family:
    """Next steps of one prefix that are sampled together."""

    parent: Node
    ground: Ground | None = None
    """Worked out when the parent is judged, if it has to be."""


_by_key = attrgetter("key")
