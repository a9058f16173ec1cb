"""The running search: what a strategy's hands do. One problem, one tree, one ledger."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

import anyio
import numpy as np

from tts.again import again
from tts.answers import Comparer, Roll, extract_answer
from tts.budget.ledger import Bounds, Ledger
from tts.docket import Docket
from tts.errors import Lost, Overlong
from tts.events import Added, Decided
from tts.journal import Journal
from tts.pace import Pace
from tts.policy import Policy
from tts.refine import complaint
from tts.seeds import node_seed
from tts.tree import Node
from tts.types import PLAIN, POLICY, VERIFIER, Account, Finish, Key, Manner, Problem, Revising, Step
from tts.verifier import Verifier


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
    ) -> None:
        self.problem = problem
        self.rng = np.random.default_rng(node_seed(seed, problem.id, ()))
        self.pace = Pace()
        """How fast the policy writes."""
        self._policy = policy
        self._docket = (
            None if verifier is None else Docket(problem, verifier, ledger, journal, seed)
        )
        self._roll = Roll(checker)
        self._ledger = ledger
        self._journal = journal
        self._seed = seed
        self._temperature = temperature
        self._sampled: dict[Key, int] = {}  # children begun, by parent
        self._revised: dict[Key, int] = {}  # revisions begun, by what they revise

    @property
    def root(self) -> Node:
        return self._journal.tree.root

    @property
    def budget_left(self) -> float:
        return self._ledger.left

    @property
    def spent(self) -> Mapping[Account, float]:
        rates = self._ledger.rates
        taken: dict[Account, float] = {POLICY: 0.0, VERIFIER: 0.0}
        for account, cost in self._ledger.costs.items():
            amount = rates.amount(account, cost)
            taken[account] = amount.flops or amount.tokens
        return taken

    @property
    def takes_instructions(self) -> bool:
        return self._policy.model.dialect.takes_instructions

    async def expand(
        self, node: Node, n: int = 1, *, judge: bool = True, manner: Manner = PLAIN
    ) -> list[Node]:
        return await self.expand_all({node: n}, judge=judge, manner=manner)

    async def expand_all(
        self, allocation: Mapping[Node, int], *, judge: bool = True, manner: Manner = PLAIN
    ) -> list[Node]:
        children: list[Node] = []
        docket = self._docket if judge else None
        manner = self._own(manner)

        async def one(family: _Family, key: Key) -> None:
            if docket is not None:
                await docket.judge(family.parent)
            ground = family.ground
            if ground is None:
                ground = family.ground = self._ground(family.parent, manner, docket)
            children.append(await self._extend(ground, key, manner, docket))

        async with anyio.create_task_group() as group:
            for parent, n in allocation.items():
                family = _Family(parent)
                for _ in range(n):
                    group.start_soon(one, family, self._next_key(parent))
        return sorted(children, key=_by_key)

    async def complete(self, node: Node, *, judge: bool = True, manner: Manner = PLAIN) -> Node:
        return await self._complete(node, self._next_key(node), judge, manner)

    async def judge(self, node: Node, votes: int | None = None) -> Node:
        if self._docket is not None:
            await self._docket.judge(node, votes)
        return node

    async def revise(
        self, node: Node, how: Revising = Revising.AUTO, *, judge: bool = True
    ) -> Node | None:
        if not node.finished:
            raise ValueError(f"node {node.key} is not finished and cannot be revised")
        wrong = (await self.judge(node)).first_wrong
        if wrong is None or wrong.parent is None:
            return None
        if how is Revising.RESUME or (how is Revising.AUTO and not self.takes_instructions):
            return await self._complete(wrong.parent, self._revision(wrong.parent, node), judge)
        manner = Manner(instruction=complaint(wrong), draft=node.text)
        try:
            room = self.tokens_left(self.root, manner)
        except Overlong:
            return None
        if room < 1:
            return None
        return await self._complete(self.root, self._revision(self.root, node), judge, manner)

    async def answer_class(self, node: Node) -> int | None:
        return await self._roll.label(extract_answer(node.text) if node.answered else None)

    def explain(self, action: str, reason: str) -> None:
        self._journal.tell(Decided(action, reason))

    async def spread(self, task: Callable[[], Awaitable[object]], n: int) -> None:
        async def run() -> None:
            await task()

        async with anyio.create_task_group() as group:
            for _ in range(n):
                group.start_soon(run)

    async def finish(self, node: Node, max_tokens: int) -> None:
        """Complete `node` within `max_tokens`, unjudged: the last use of a spent budget."""
        await self._write(node, self._next_key(node), max_tokens, self._own(PLAIN))

    def tokens_left(self, node: Node, manner: Manner = PLAIN) -> int:
        """How many tokens an answer that begins with `node` may still take."""
        room = self._policy.model.dialect.answer_tokens - node.tokens
        prompt = self._policy.bound(self.problem, node.steps(), 0, manner).prompt_tokens
        return min(room, self._policy.model.context_tokens - prompt)

    def _own(self, manner: Manner) -> Manner:
        """`manner` with this search's own temperature where it names none."""
        if self._temperature is None or manner.temperature is not None:
            return manner
        return replace(manner, temperature=self._temperature)

    def _next_key(self, parent: Node) -> Key:
        if parent.finished:
            raise ValueError(f"node {parent.key} is finished and cannot be extended")
        index = self._sampled.get(parent.key, 0)
        self._sampled[parent.key] = index + 1
        return (*parent.key, index)

    def _revision(self, parent: Node, revised: Node) -> Key:
        """The key of a revision comes from what it revises, not from who else was faster."""
        number = self._revised.get(revised.key, 0)
        self._revised[revised.key] = number + 1
        name = node_seed(0, "revision", (*revised.key, number)) % _REVISIONS
        return (*parent.key, _REVISIONS + name)

    def _ground(self, parent: Node, manner: Manner, docket: Docket | None) -> _Ground:
        """Work out once what all steps below `parent` have in common."""
        steps = parent.steps()
        max_tokens = max(
            0, min(self._policy.model.dialect.step_tokens, self.tokens_left(parent, manner))
        )
        bounds = {POLICY: self._policy.bound(self.problem, steps, max_tokens, manner)}
        if docket is not None:
            bounds[VERIFIER] = docket.bound(parent, max_tokens)
        return _Ground(steps, max_tokens, bounds)

    async def _extend(
        self, ground: _Ground, key: Key, manner: Manner, docket: Docket | None
    ) -> Node:
        """Sample one step and have it judged, under one hold: no step is left unjudged."""
        if ground.max_tokens < 1:  # the answer has reached its longest at a step's boundary
            return self._add(key, Step("", finish=Finish.LENGTH), manner)
        child = await again(
            lambda: self._try_to_extend(ground, key, manner, docket), self._journal.lost
        )
        if docket is not None:
            await docket.judge(child)  # nothing is left to do, unless its judgement was lost
        return child

    async def _try_to_extend(
        self, ground: _Ground, key: Key, manner: Manner, docket: Docket | None
    ) -> Node:
        async with self._ledger.hold(ground.bounds, len(key)) as hold:
            with self.pace.timed() as written, hold.charge(POLICY) as meter:
                step = await self._policy.extend(
                    self.problem,
                    ground.steps,
                    max_tokens=ground.max_tokens,
                    seed=node_seed(self._seed, self.problem.id, key, manner),
                    meter=meter,
                    manner=manner,
                )
                written.tokens = step.cost.output_tokens
            if docket is None:
                return self._add(key, step, manner)
            with docket.asking(key):
                child = self._add(key, step, manner)
                try:
                    await docket.ask(child, hold)
                except Lost as error:
                    self._journal.lost(error)
        return child

    async def _complete(self, node: Node, key: Key, judge: bool, manner: Manner = PLAIN) -> Node:
        manner = self._own(manner)
        leaf = await self._write(node, key, self.tokens_left(node, manner), manner)
        return await self.judge(leaf) if judge else leaf

    async def _write(self, node: Node, key: Key, max_tokens: int, manner: Manner) -> Node:
        if max_tokens < 1:
            return self._add(key, Step("", finish=Finish.LENGTH), manner)
        steps = node.steps()
        bounds = {POLICY: self._policy.bound(self.problem, steps, max_tokens, manner)}

        async def attempt() -> Sequence[Step]:
            async with self._ledger.hold(bounds, len(first)) as hold:
                with self.pace.timed(whole=True) as written, hold.charge(POLICY) as meter:
                    rest = await self._policy.complete(
                        self.problem,
                        steps,
                        max_tokens=max_tokens,
                        seed=node_seed(self._seed, self.problem.id, first, manner),
                        meter=meter,
                        manner=manner,
                    )
                    written.tokens = sum(step.cost.output_tokens for step in rest)
            return rest

        first = key
        for step in await again(attempt, self._journal.lost):
            node = self._add(key, step, manner)
            key = (*key, 0)
            self._sampled[node.key] = 1  # so that a later sample here gets another key
        return node

    def _add(self, key: Key, step: Step, manner: Manner) -> Node:
        self._journal.tell(Added(key, step, manner))
        if step.finish is Finish.EOS:
            self._ledger.release_reserve()  # there is an answer: nothing has to be kept back
        return self._journal.tree[key]


@dataclass(slots=True)
class _Family:
    """Next steps of one prefix that are sampled together."""

    parent: Node
    ground: _Ground | None = None
    """Worked out when the parent is judged, if it has to be."""


@dataclass(frozen=True, slots=True)
class _Ground:
    """What all next steps of a prefix have in common."""

    steps: tuple[Step, ...]
    max_tokens: int
    bounds: Bounds


_by_key = attrgetter("key")
_REVISIONS = 10**9
"""Where the indices of revisions begin: no prefix has so many samples."""
