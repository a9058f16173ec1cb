"""The running search: what a strategy's hands do. One problem, one tree, one ledger."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter

import anyio
import numpy as np

from tts.budget.ledger import Bounds, Hold, Ledger
from tts.events import Added, Event, Judged, apply
from tts.policy import Policy
from tts.seeds import node_seed
from tts.tree import Node, Tree
from tts.types import POLICY, VERIFIER, Finish, Key, Problem, Step
from tts.verifier import Case, Verifier


class Journal:
    """Where facts are told: the tree grows by them, listeners hear them, the log keeps them."""

    __slots__ = ("_listener", "_news", "events", "tree")

    def __init__(self, listener: Callable[[Event], None] | None = None) -> None:
        self.tree = Tree()
        self.events: list[Event] = []
        self._listener = listener
        self._news: anyio.Event | None = None

    def tell(self, event: Event) -> None:
        """Let everybody know of `event`."""
        apply(event, self.tree)
        self.events.append(event)
        if self._listener is not None:
            self._listener(event)
        if self._news is not None:
            self._news.set()
            self._news = None

    async def news(self) -> None:
        """Wait for the next event."""
        if self._news is None:
            self._news = anyio.Event()
        await self._news.wait()


class RunningSearch:
    """Implements `tts.strategy.Search`: sampling, judging, booking and telling, in that order."""

    def __init__(
        self,
        problem: Problem,
        policy: Policy,
        verifier: Verifier | None,
        ledger: Ledger,
        journal: Journal,
        seed: int,
    ) -> None:
        self.problem = problem
        self.rng = np.random.default_rng(node_seed(seed, problem.id, ()))
        self._policy = policy
        self._verifier = verifier
        self._ledger = ledger
        self._journal = journal
        self._seed = seed
        self._sampled: dict[Key, int] = {}  # children begun, by parent
        self._asked: set[Key] = set()  # the verifier was asked about; it may have had no say

    @property
    def root(self) -> Node:
        return self._journal.tree.root

    @property
    def budget_left(self) -> float:
        return self._ledger.left

    async def expand(self, node: Node, n: int = 1) -> list[Node]:
        return await self.expand_all({node: n})

    async def expand_all(self, allocation: Mapping[Node, int]) -> list[Node]:
        children: list[Node] = []

        async def one(parent: Node, ground: _Ground, key: Key) -> None:
            children.append(await self._extend(parent, ground, key))

        async with anyio.create_task_group() as group:
            for parent, n in allocation.items():
                ground = self._ground(parent)
                for _ in range(n):
                    group.start_soon(one, parent, ground, self._next_key(parent))
        return sorted(children, key=_by_key)

    async def complete(self, node: Node) -> Node:
        key = self._next_key(node)
        return await self._complete(node, key, self.tokens_left(node))

    async def spread(self, task: Callable[[], Awaitable[object]], n: int) -> None:
        async def run() -> None:
            await task()

        async with anyio.create_task_group() as group:
            for _ in range(n):
                group.start_soon(run)

    async def finish(self, node: Node, max_tokens: int) -> None:
        """Complete `node` within `max_tokens`, unjudged: the last use of a spent budget."""
        await self._write(node, self._next_key(node), max_tokens)

    def tokens_left(self, node: Node) -> int:
        """How many tokens an answer that begins with `node` may still take."""
        room = self._policy.model.dialect.answer_tokens - node.tokens
        prompt = self._policy.bound(self.problem, node.steps(), 0).prompt_tokens
        return min(room, self._policy.model.context_tokens - prompt)

    def _next_key(self, parent: Node) -> Key:
        if parent.finished:
            raise ValueError(f"node {parent.key} is finished and cannot be extended")
        index = self._sampled.get(parent.key, 0)
        self._sampled[parent.key] = index + 1
        return (*parent.key, index)

    def _ground(self, parent: Node) -> _Ground:
        """Work out once what all steps below `parent` have in common."""
        steps = parent.steps()
        prompt = self._policy.bound(self.problem, steps, 0).prompt_tokens
        dialect, context = self._policy.model.dialect, self._policy.model.context_tokens
        max_tokens = min(
            dialect.step_tokens, dialect.answer_tokens - parent.tokens, context - prompt
        )
        bounds = {POLICY: self._policy.bound(self.problem, steps, max(0, max_tokens))}
        if self._verifier is not None:
            bounds[VERIFIER] = self._verifier.bound(self._case(parent), max(0, max_tokens))
        return _Ground(steps, max_tokens, bounds)

    async def _extend(self, parent: Node, ground: _Ground, key: Key) -> Node:
        """Sample one step and have it judged, under one hold: no step is left unjudged."""
        if ground.max_tokens < 1:  # the answer has reached its longest at a step's boundary
            return self._add(key, Step("", finish=Finish.LENGTH))
        async with self._ledger.hold(ground.bounds, len(key)) as hold:
            with hold.charge(POLICY) as meter:
                step = await self._policy.extend(
                    self.problem,
                    ground.steps,
                    max_tokens=ground.max_tokens,
                    seed=node_seed(self._seed, self.problem.id, key),
                    meter=meter,
                )
            child = self._add(key, step)
            await self._judge(child, hold)
        return child

    async def _complete(self, node: Node, key: Key, max_tokens: int) -> Node:
        """Sample to the end, then have all of it judged, a step at a time.

        Each judgement has a hold of its own: a hold for all would be the worst case of every step
        together, and keep others waiting for what is hardly ever spent.
        """
        leaf = await self._write(node, key, max_tokens)
        if self._verifier is not None:
            for step in leaf.path():
                if step.key not in self._asked:
                    bounds = {VERIFIER: self._verifier.bound(self._case(step), 0)}
                    async with self._ledger.hold(bounds, step.depth + 1) as hold:
                        await self._judge(step, hold)
        return leaf

    async def _write(self, node: Node, key: Key, max_tokens: int) -> Node:
        if max_tokens < 1:
            return self._add(key, Step("", finish=Finish.LENGTH))
        steps = node.steps()
        bounds = {POLICY: self._policy.bound(self.problem, steps, max_tokens)}
        async with self._ledger.hold(bounds, len(key)) as hold:
            with hold.charge(POLICY) as meter:
                written = await self._policy.complete(
                    self.problem,
                    steps,
                    max_tokens=max_tokens,
                    seed=node_seed(self._seed, self.problem.id, key),
                    meter=meter,
                )
        for step in written:
            node = self._add(key, step)
            key = (*key, 0)
            self._sampled[node.key] = 1  # so that a later sample here gets another key
        return node

    def _add(self, key: Key, step: Step) -> Node:
        self._journal.tell(Added(key, step))
        if step.finish is Finish.EOS:
            self._ledger.release_reserve()  # there is an answer: nothing has to be kept back
        return self._journal.tree[key]

    async def _judge(self, node: Node, hold: Hold) -> None:
        """Ask the verifier about every step up to `node` that it has not been asked about."""
        if self._verifier is None:
            return
        case = self._case(node)
        with hold.charge(VERIFIER) as meter:
            verdicts = await self._verifier.judge(case, meter)
        scores = [None if verdict is None else verdict.score for verdict in case.judged]
        path = node.path()[len(case.judged) :]
        for judged, verdict in zip(path, verdicts, strict=True):
            self._asked.add(judged.key)
            scores.append(None if verdict is None else verdict.score)
            score = self._verifier.reduction(scores)
            self._journal.tell(Judged(judged.key, verdict, score))

    def _case(self, node: Node) -> Case:
        """The path to `node`, of which what lies below the last judged step is to be judged."""
        path = node.path()
        asked = len(path)
        while asked and path[asked - 1].key not in self._asked:
            asked -= 1
        judged = tuple(each.judgement for each in path[:asked])
        seeds = tuple(node_seed(self._seed, self.problem.id, each.key) for each in path[asked:])
        return Case(self.problem, node.steps(), judged, seeds)


@dataclass(frozen=True, slots=True)
class _Ground:
    """What all next steps of a prefix have in common."""

    steps: tuple[Step, ...]
    max_tokens: int
    bounds: Bounds


_by_key = attrgetter("key")
