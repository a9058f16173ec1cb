"""rStar's generator: tree search over five kinds of reasoning action (Qi et al. 2024, sec. 3.2).

At each prefix an action that was not tried there yet is taken at random; where all were tried, the
walk goes on by UCT. So a walk descends, expands and rolls out by one rule until it ends in an
answer, and the share of all answers so far that agree with it is backed up. A policy that takes no
instructions has two actions: the next step, and all the rest.

Not here: the paper's second model that completes parts of each trajectory to confirm it. Give a
verifier, which judges the solutions for the `weighted` selector.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar

from tts.strategy import PLAIN, Bill, Manner, Node, Paper, Search, at_least, positive

QI = Paper(
    "Mutual Reasoning Makes Smaller LLMs Stronger Problem-Solvers",
    ("Zhenting Qi", "Mingyuan Ma", "Jiahang Xu", "Li Lyna Zhang", "Fan Yang", "Mao Yang"),
    2024,
    arxiv="2408.06195",
)


class Action(Enum):
    """What is asked of the policy next. The words are ours: the paper gives examples instead."""

    STEP = "Continue with one single next step of the reasoning."  # A1
    REST = ""  # A2: all remaining steps, in the policy's own way
    SUBQUESTION = "Continue by stating the next sub-question, and answer it."  # A3
    AGAIN = "Answer the sub-question stated last once more, by another way."  # A4
    REPHRASE = "First list all conditions of the problem in words of your own."  # A5


@dataclass
class _Statistics:
    tried: defaultdict[Node, dict[Action, Node]] = field(default_factory=lambda: defaultdict(dict))
    action: dict[Node, Action] = field(default_factory=dict)  # that led to a node
    visits: Counter[Node] = field(default_factory=Counter)  # N
    value: defaultdict[Node, float] = field(default_factory=lambda: defaultdict(float))  # Q
    closed: set[Node] = field(default_factory=set)  # nothing is left to try below
    answers: Counter[int] = field(default_factory=Counter)

    def open_below(self, node: Node) -> list[Node]:
        return [child for child in self.tried[node].values() if child not in self.closed]


@dataclass(frozen=True)
class RStar:
    """`rollouts` walks of at most `actions` actions; the last one of a walk is all the rest."""

    rollouts: int = 16
    actions: int = 5  # d
    exploration: float = 2.0  # c
    needs_verifier: ClassVar[bool] = False
    papers: ClassVar = (QI,)
    bill: ClassVar = Bill("rollouts * actions", "rollouts * depth", exact=False)

    def __post_init__(self) -> None:
        at_least(1, rollouts=self.rollouts, actions=self.actions)
        positive(exploration=self.exploration)

    async def run(self, search: Search) -> None:
        statistics = _Statistics()
        for _ in range(self.rollouts):
            if search.root in statistics.closed:
                return
            path = await self._walk(search, statistics)
            label = await search.answer_class(path[-1])
            statistics.answers.update(() if label is None else (label,))
            agreeing = 0 if label is None else statistics.answers[label]
            value = agreeing / max(1, statistics.answers.total())
            for taken, node in reversed(list(enumerate(path))):
                statistics.visits[node] += 1
                statistics.value[node] += value
                untried = self._untried(search, statistics, node, taken)
                if not untried and not statistics.open_below(node):
                    statistics.closed.add(node)

    async def _walk(self, search: Search, statistics: _Statistics) -> list[Node]:
        """From the root to the end of a solution."""
        path = [search.root]
        while not (node := path[-1]).finished:
            if untried := self._untried(search, statistics, node, len(path) - 1):
                action = untried[search.rng.integers(len(untried))]
                child = await _take(search, node, action)
                statistics.tried[node][action] = child
                statistics.action[child] = action
            else:
                child = max(
                    statistics.open_below(node), key=lambda n: self._urge(n, node, statistics)
                )
            path.append(child)
        await search.judge(path[-1])
        return path

    def _untried(
        self, search: Search, statistics: _Statistics, node: Node, taken: int
    ) -> list[Action]:
        """Actions that make sense at `node`, to which `taken` of them led, and were not tried."""
        if node.finished:
            return []
        sensible = [Action.REST]
        if taken + 1 < self.actions:
            sensible.append(Action.STEP)
            if search.takes_instructions:
                sensible.append(Action.SUBQUESTION)
                if statistics.action.get(node) is Action.SUBQUESTION:
                    sensible.append(Action.AGAIN)
                if node is search.root:
                    sensible.append(Action.REPHRASE)
        return [action for action in sensible if action not in statistics.tried[node]]

    def _urge(self, child: Node, parent: Node, statistics: _Statistics) -> float:
        """UCT."""
        visits = statistics.visits[child]
        bonus = math.sqrt(math.log(statistics.visits[parent]) / visits)
        return statistics.value[child] / visits + self.exploration * bonus


async def _take(search: Search, node: Node, action: Action) -> Node:
    if action is Action.REST:
        return await search.complete(node, judge=False)
    manner = Manner(instruction=action.value) if search.takes_instructions else PLAIN
    (child,) = await search.expand(node, judge=False, manner=manner)
    return child
