"""Ahead: next steps that are written before anybody has asked for them.

While the verdict on a step is outstanding, the policy has nothing to do there. A promising step is
then continued past its end: by the first of its children, with the key, the manner and so the seed
that this child would have anyway. That child alone keeps it, so that the samples, and the tree, are
the same as without; only time differs, and what nobody asks for is waste (as in FastTTS, whose
copies of a continuation go to several siblings and so change what is sampled).

A step is promising if the policy found it no less likely, token by token, than the middle one of
those sampled with it. Continuations that their batch has passed over are cancelled; none waits for
room in the budget, so that whatever somebody asked for goes first.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from statistics import median

import anyio
from anyio.abc import TaskGroup

from tts.tree import Node
from tts.types import Key, Manner, Step

Write = Callable[[Node, Key, Manner], Awaitable[Step | None]]
"""Samples a step below a node, under a key and in a manner; None if there is no room for it."""


@dataclass(eq=False, slots=True)
class Batch:
    """Steps that were sampled together."""

    manner: Manner
    likelihoods: list[float] = field(default_factory=list)
    begun: list[Continuation] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Continuation:
    """A step that is being written below `node`, or was."""

    node: Node
    manner: Manner
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    over: anyio.Event = field(default_factory=anyio.Event)
    step: Step | None = None
    """None until it is there, and if it came to nothing."""


class Ahead:
    """The continuations of one search."""

    def __init__(self, at_once: int, write: Write) -> None:
        """At most `at_once` are written at the same time; 0: none."""
        self._at_once = at_once
        self._write = write
        self._group: TaskGroup | None = None
        self._known: dict[Key, Continuation] = {}  # by the key of the step
        self._batches: dict[Key, Batch] = {}  # by the key of each step of a batch
        self._writing = 0

    def open(self, group: TaskGroup) -> None:
        """Let continuations be written in `group`, which is cancelled when the search ends."""
        self._group = group

    def consider(self, node: Node, batch: Batch) -> None:
        """The verdict on `node`, sampled in `batch`, is outstanding: go on from it if that pays."""
        if self._group is None or not self._at_once or node.finished:
            return
        batch.likelihoods.append(likelihood := _likelihood(node))
        self._batches[node.key] = batch
        if self._writing < self._at_once and likelihood >= median(batch.likelihoods):
            continuation = Continuation(node, batch.manner)
            batch.begun.append(continuation)
            self._known[*node.key, 0] = continuation
            self._writing += 1
            self._group.start_soon(self._go_on, continuation)

    def choose(self, nodes: list[Node]) -> None:
        """`nodes` are gone on from: what others of their batches would have been is cancelled."""
        if not self._batches:
            return
        chosen = set(nodes)
        for node in nodes:
            batch = self._batches.pop(node.key, None)
            for continuation in [] if batch is None else batch.begun:
                if continuation.node not in chosen and continuation.step is None:
                    continuation.scope.cancel()

    async def claim(self, key: Key, manner: Manner) -> Step | None:
        """The step `key`, if it was begun in this manner; waits until it is there."""
        continuation = self._known.pop(key, None)
        if continuation is None:
            return None
        if continuation.manner != manner:
            continuation.scope.cancel()
            return None
        await continuation.over.wait()
        return continuation.step

    async def _go_on(self, continuation: Continuation) -> None:
        node = continuation.node
        try:
            with continuation.scope:
                continuation.step = await self._write(node, (*node.key, 0), continuation.manner)
        finally:
            self._writing -= 1
            continuation.over.set()


def _likelihood(node: Node) -> float:
    """The policy's mean token probability of a step; 1 where its tokens are unknown."""
    step = node.step
    return math.exp(step.logprob / len(step.token_ids)) if step and step.token_ids else 1.0
