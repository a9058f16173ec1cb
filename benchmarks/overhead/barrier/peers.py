"""Peers: the loops of the reference systems, on the same machine and the same samples.

Generate the next steps of all problems of a batch, wait for all; score them all, wait for all;
choose; and again. So do search-and-learn's DVTS and best-of-N (25 problems a batch) and
ThinkBooster's beam (all of them); search-and-learn's beam goes a problem at a time.
Seeds are those of our search, so that the same tree grows and only the waiting differs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
from crowd import Crowd, Tally, in_virtual_time

from tts.budget.meter import Meter
from tts.policy import LanguagePolicy
from tts.seeds import node_seed
from tts.shares import in_turn, ranked
from tts.testing.machine import Panel
from tts.tree import Node, Tree
from tts.types import Judgement, Key, Problem
from tts.verifier import Case

Choice = Callable[["Searched"], dict[Node, int]]
"""From a problem and its latest level to how many children each prefix gets next."""


@dataclass
class Searched:
    """A problem in a batch."""

    problem: Problem
    tree: Tree = field(default_factory=Tree)
    level: list[Node] = field(default_factory=list)
    next: dict[Node, int] = field(default_factory=dict)
    """How many children each prefix gets now."""
    slots: int = 0


def beam(n: int, width: int) -> Choice:
    """As `tts_strategies.beam`."""

    def choose(state: Searched) -> dict[Node, int]:
        if not state.level:
            state.slots = n
            return {state.tree.root: n}
        state.slots -= sum(node.finished for node in state.level)
        return in_turn(state.slots, width, ranked(n for n in state.level if not n.finished))

    return choose


def dvts(n: int, width: int) -> Choice:
    """As `tts_strategies.dvts`."""

    def choose(state: Searched) -> dict[Node, int]:
        if not state.level:
            return {state.tree.root: n}
        # The subtrees of a level: from the root children of the same turn, later of one parent.
        groups: dict[object, list[Node]] = {}
        for node in state.level:
            turn = node.key[0] // width if node.depth == 1 else node.parent
            groups.setdefault(turn, []).append(node)
        best = [max(group, key=lambda node: node.rank) for group in groups.values()]
        return {node: width for node in best if not node.finished}

    return choose


def lock_step(crowd: Crowd, choose: Choice, batch: int) -> Tally:
    """All problems, `batch` of them in lock-step."""

    async def run(tally: Tally) -> None:
        machine, policy, panel = crowd.models()
        asked = crowd.asked()
        batches = [asked[i : i + batch] for i in range(0, len(asked), batch)]

        async def work(problems: list[Problem], done: Callable[[], None]) -> None:
            states = [Searched(problem) for problem in problems]
            for state in states:
                state.next = choose(state)
            while states:
                await generate(policy, states)
                await score(panel, states)
                for state in states:
                    state.next = choose(state)
                    if not state.next:
                        tally.trees[state.problem.id] = state.tree
                        done()
                states = [state for state in states if state.next]

        await crowd.flow(machine, batches, tally, work)

    return in_virtual_time(run)


async def generate(policy: LanguagePolicy, states: list[Searched]) -> None:
    """The next level of every problem; returns when all of it is there."""

    async def extend(state: Searched, parent: Node, key: Key) -> None:
        most = policy.model.dialect.step_tokens
        room = policy.model.dialect.answer_tokens - parent.tokens
        step = await policy.extend(
            state.problem,
            parent.steps(),
            max_tokens=min(most, room),
            seed=node_seed(0, state.problem.id, key),
            meter=Meter(),
        )
        state.level.append(state.tree.add(key, step))

    async with anyio.create_task_group() as group:
        for state in states:
            state.level = []
            for parent, share in state.next.items():
                for index in range(share):
                    group.start_soon(extend, state, parent, (*parent.key, index))
    for state in states:
        state.level.sort(key=lambda node: node.key)


async def score(panel: Panel, states: list[Searched]) -> None:
    """A verdict on each new step; returns when all of them are there."""

    async def judge(problem: Problem, node: Node) -> None:
        before = tuple(each.judgement for each in node.path()[:-1])
        seeds = (node_seed(0, problem.id, node.key),)
        (said,) = await panel.judge(Case(problem, node.steps(), before, seeds), Meter())
        assert isinstance(said, Judgement)
        node.judgement = said
        node.own_score = panel.reduction([each.judgement.score for each in node.path()])

    async with anyio.create_task_group() as group:
        for state in states:
            for node in state.level:
                group.start_soon(judge, state.problem, node)
