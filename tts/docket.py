"""Docket: what the verifier has said of each step of a search, and what it is being asked now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from tts.budget.ledger import Hold, Ledger
from tts.events import Judged
from tts.journal import Journal
from tts.seeds import node_seed
from tts.tree import Node
from tts.types import VERIFIER, Cost, Judgement, Key, Problem
from tts.verifier import Case, Verifier


class Docket:
    """Has steps judged in the order of their paths, each once, however many ask for it."""

    def __init__(
        self, problem: Problem, verifier: Verifier, ledger: Ledger, journal: Journal, seed: int
    ) -> None:
        self._problem = problem
        self._verifier = verifier
        self._ledger = ledger
        self._journal = journal
        self._seed = seed
        # What was said of each step of a path, by its end: there for all that was asked about.
        self._judged: dict[Key, tuple[Judgement | None, ...]] = {(): ()}
        self._asked: dict[Key, anyio.Event] = {}  # set when the verifier has spoken

    def bound(self, node: Node, more_tokens: int) -> Cost:
        """The most that it can cost to have `node` judged, and a step of `more_tokens` after it."""
        return self._verifier.bound(self._case(node), more_tokens)

    async def judge(self, node: Node) -> None:
        """Have judged what is not judged yet on the path to `node`.

        A step at a time, each under a hold of its own: a hold for all would be the worst case of
        every step together, and keep others waiting for what is hardly ever spent.
        """
        if node.key in self._judged:
            return
        for step in node.path():
            while step.key not in self._judged:
                if (spoken := self._asked.get(step.key)) is not None:
                    await spoken.wait()
                else:
                    with self.asking(step.key):
                        bounds = {VERIFIER: self.bound(step, 0)}
                        async with self._ledger.hold(bounds, step.depth + 1) as hold:
                            await self.ask(step, hold)

    @contextmanager
    def asking(self, key: Key) -> Iterator[None]:
        """While the verifier is asked about a node: who else asks about it waits."""
        spoken = self._asked[key] = anyio.Event()
        try:
            yield
        finally:
            del self._asked[key]
            spoken.set()

    async def ask(self, node: Node, hold: Hold) -> None:
        """Ask the verifier, on `hold`, about each step up to `node` that it was not asked about."""
        case = self._case(node)
        with hold.charge(VERIFIER) as meter:
            verdicts = await self._verifier.judge(case, meter)
        scores = [None if verdict is None else verdict.score for verdict in case.judged]
        path = node.path()[len(case.judged) :]
        for judged, verdict in zip(path, verdicts, strict=True):
            self._judged[judged.key] = (*self._judged[judged.key[:-1]], verdict)
            scores.append(None if verdict is None else verdict.score)
            score = self._verifier.reduction(scores)
            self._journal.tell(Judged(judged.key, verdict, score))

    def _case(self, node: Node) -> Case:
        """The path to `node`, of which what lies below the last judged step is to be judged."""
        key = node.key
        while key not in self._judged:
            key = key[:-1]
        unjudged = range(len(key) + 1, len(node.key) + 1)
        seeds = tuple(node_seed(self._seed, self._problem.id, node.key[:end]) for end in unjudged)
        return Case(self._problem, node.steps(), self._judged[key], seeds)
