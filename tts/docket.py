"""Docket: what the verifier has said of each step of a search, and what it is being asked now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import anyio

from tts.again import again
from tts.budget.ledger import Hold, Ledger
from tts.contest import Contest
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
        self._asked: set[Key] = set()  # the verifier was asked about; it may have had no say
        self._asking: dict[Key, anyio.Event] = {}  # set when it has spoken

    def bound(self, node: Node, more_tokens: int) -> Cost:
        """The most that it can cost to have `node` judged, and a step of `more_tokens` after it."""
        return self._verifier.bound(self._case(node), more_tokens)

    def next_bound(self, node: Node, votes: int | None = None) -> Cost | None:
        """The most that the first thing that `judge(node, votes)` does can cost; None: nothing."""
        for step in node.path():
            if step.key not in self._asked:
                return self._verifier.bound(self._case(step), 0)
        said = node.judgement
        if votes is None or said is None or not self._verifier.sampled or len(said.votes) >= votes:
            return None
        return self._verifier.bound(self._case_for_more(node, votes), 0)

    async def judge(self, node: Node, votes: int | None = None) -> None:
        """Have judged what is not judged yet on the path to `node`, and `votes` given on its step.

        A step at a time, each under a hold of its own: a hold for all would be the worst case of
        every step together, and keep others waiting for what is hardly ever spent.
        """
        if node.key not in self._asked:
            for step in node.path():
                while step.key not in self._asked:
                    if (spoken := self._asking.get(step.key)) is not None:
                        await spoken.wait()
                    else:
                        await self._ask_alone(step, self._case(step))
        if votes is not None and self._verifier.sampled:
            while (said := node.judgement) is not None and len(said.votes) < votes:
                if (spoken := self._asking.get(node.key)) is not None:
                    await spoken.wait()
                else:
                    await self._hear_more(node, votes)
                    break

    @contextmanager
    def asking(self, key: Key) -> Iterator[None]:
        """While the verifier is asked about a node: who else asks about it waits."""
        spoken = self._asking[key] = anyio.Event()
        try:
            yield
        finally:
            del self._asking[key]
            spoken.set()

    async def ask(self, node: Node, hold: Hold, contest: Contest | None = None) -> None:
        """Ask the verifier, on `hold`, about the step of `node`.

        In a `contest` it is cut short as soon as its votes can decide nothing any more. Nothing is
        done where a step before has to be asked about first: that is more than is held.
        """
        case = self._case(node)
        if len(case.seeds) > 1:
            return
        if contest is None:
            await self._put(node, case, hold)
        else:
            await self._compete(node, case, hold, contest)

    async def _ask_alone(self, node: Node, case: Case) -> None:
        """Under a hold of its own; all before `node` on its path is judged."""

        async def ask() -> None:
            async with self._ledger.hold(bounds, node.depth + 1, node.key) as hold:
                await self._put(node, case, hold)

        with self.asking(node.key):
            bounds = {VERIFIER: self._verifier.bound(case, 0)}
            await again(ask, self._journal.lost)

    async def _compete(self, node: Node, case: Case, hold: Hold, contest: Contest) -> None:
        """As `_put`, for one step that may be cut short."""
        before = [None if said is None else said.score for said in case.judged]
        contestant = contest.enter(node.key, before, self._verifier.reduction)
        verdicts: Sequence[Judgement | None] = ()
        with hold.charge(VERIFIER) as meter:
            with contestant.scope:
                verdicts = await self._verifier.judge(replace(case, told=contestant.hear), meter)
            if not verdicts:
                said = contestant.cut_short()
                verdicts = (None if said is None else replace(said, cost=meter.cost),)
        self._record(node, case, verdicts)
        contestant.end(node.rank)

    async def _put(self, node: Node, case: Case, hold: Hold) -> None:
        """Put `case`, whose last step is that of `node`, before the verifier."""
        with hold.charge(VERIFIER) as meter:
            verdicts = await self._verifier.judge(case, meter)
        self._record(node, case, verdicts)

    def _record(self, node: Node, case: Case, verdicts: Sequence[Judgement | None]) -> None:
        """Tell what was said of the steps of `case`, which ends in `node`."""
        whole, before = node.path(), len(case.judged)
        # As they are now: more votes may have been heard meanwhile.
        scores = [
            None if each.judgement is None else each.judgement.score for each in whole[:before]
        ]
        for judged, verdict in zip(whole[before:], verdicts, strict=True):
            said = verdict
            if verdict is not None and judged.judgement is not None:  # votes were added
                said = replace(verdict, cost=judged.judgement.cost + verdict.cost)
            self._asked.add(judged.key)
            scores.append(None if said is None else said.score)
            self._journal.tell(Judged(judged.key, said, self._verifier.reduction(scores)))

    async def _hear_more(self, node: Node, votes: int) -> None:
        """Have more votes given on the step of `node`, which is judged."""
        before = node.judgement
        await self._ask_alone(node, self._case_for_more(node, votes))
        assert before is not None
        assert node.judgement is not None
        if node.judgement.score != before.score:
            self._follow(node)

    def _case_for_more(self, node: Node, votes: int) -> Case:
        """The judged step of `node`, with what was said of it, to be given `votes` in all."""
        judged = tuple(each.judgement for each in node.path()[:-1])
        seeds = (node_seed(self._seed, self._problem.id, node.key),)
        heard = () if node.judgement is None else node.judgement.votes
        return Case(self._problem, node.steps(), judged, seeds, votes, heard)

    def _follow(self, node: Node) -> None:
        """Let scores below `node` follow from its new judgement.

        What a verifier had no say on, because something before it was wrong, can be asked again.
        """
        for child in node.children:
            if child.judgement is None:
                self._asked.discard(child.key)
            scores = [
                None if each.judgement is None else each.judgement.score for each in child.path()
            ]
            score = self._verifier.reduction(scores)
            self._journal.tell(Judged(child.key, child.judgement, score))
            self._follow(child)

    def _case(self, node: Node) -> Case:
        """The path to `node`, of which what lies below the last judged step is to be judged."""
        path = node.path()
        asked = len(path)
        while asked and path[asked - 1].key not in self._asked:
            asked -= 1
        judged = tuple(each.judgement for each in path[:asked])
        seeds = tuple(node_seed(self._seed, self._problem.id, each.key) for each in path[asked:])
        return Case(self._problem, node.steps(), judged, seeds)
