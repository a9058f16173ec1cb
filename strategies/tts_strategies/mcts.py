"""Monte-Carlo tree search over steps (Silver et al. 2017; virtual loss: Chaslot et al. 2008).

A walk descends by Q + U, expands the leaf that it reaches by M judged steps, and backs up the best
of their scores. `workers` walks go on at once; one counts as a visit worth nothing until its value
is back, so that the others spread out; one that finds nothing free waits until something is. A
prefix below which everything is finished is closed: no solution is reached twice.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar

from tts.strategy import Bill, Node, Paper, Search, Signal, at_least, positive

SILVER = Paper(
    "Mastering the game of Go without human knowledge",
    ("David Silver", "Julian Schrittwieser", "Karen Simonyan", "others"),
    2017,
    venue="Nature 550",
)
KOCSIS = Paper(
    "Bandit Based Monte-Carlo Planning",
    ("Levente Kocsis", "Csaba Szepesvári"),
    2006,
    venue="ECML 2006",
)
CHASLOT = Paper(
    "Parallel Monte-Carlo Tree Search",
    ("Guillaume Chaslot", "Mark Winands", "Jaap van den Herik"),
    2008,
    venue="Computers and Games 2008",
)


class Rule(Enum):
    """How a walk chooses among children."""

    PUCT = "puct"
    """U = c P sqrt(N_parent) / (1 + N), P the policy's own mean token probability, normalised."""
    UCT = "uct"
    """U = c sqrt(ln N_parent / N), unvisited children first (Kocsis & Szepesvari 2006)."""


@dataclass
class _Statistics:
    visits: dict[Node, int] = field(default_factory=lambda: defaultdict(int))  # N
    value: dict[Node, float] = field(default_factory=lambda: defaultdict(float))  # W
    closed: set[Node] = field(default_factory=set)
    busy: set[Node] = field(default_factory=set)  # being expanded
    back: Signal = field(default_factory=Signal)  # given when a walk's value is back

    def mean(self, node: Node) -> float:  # Q
        return self.value[node] / self.visits[node] if self.visits[node] else max(0.0, node.rank)


@dataclass(frozen=True)
class MCTS:
    """`simulations` walks, M children an expansion."""

    simulations: int = 64
    width: int = 4  # M
    exploration: float = 1.25  # c
    rule: Rule = Rule.PUCT
    workers: int = 8
    needs_verifier: ClassVar[bool] = True
    papers: ClassVar = (SILVER, KOCSIS, CHASLOT)
    bill: ClassVar = Bill("simulations * width + 1", "simulations * width", exact=False)

    def __post_init__(self) -> None:
        at_least(1, simulations=self.simulations, width=self.width, workers=self.workers)
        positive(exploration=self.exploration)

    async def run(self, search: Search) -> None:
        statistics = _Statistics()
        walks = iter(range(self.simulations))

        async def worker() -> None:
            for _ in walks:
                path = self._descend(search.root, statistics)
                while path is None and statistics.busy:  # others expand all that is open
                    await statistics.back.wait()
                    path = self._descend(search.root, statistics)
                if path is None:
                    return
                await self._expand(search, path, statistics)

        await search.spread(worker, self.workers)

    async def _expand(self, search: Search, path: list[Node], statistics: _Statistics) -> None:
        leaf = path[-1]
        statistics.busy.add(leaf)
        for node in path:
            statistics.visits[node] += 1  # a visit worth nothing yet
        children = await search.expand(leaf, self.width)
        value = max(max(0.0, child.rank) for child in children)
        statistics.busy.discard(leaf)
        statistics.closed.update(child for child in children if child.finished)
        for node in reversed(path):
            statistics.value[node] += value
            if all(child in statistics.closed for child in node.children):
                statistics.closed.add(node)
        statistics.back.give()

    def _descend(self, root: Node, statistics: _Statistics) -> list[Node] | None:
        """From the root to a leaf to be expanded; None if there is none that is free."""
        path = [root]
        while path[-1].children and path[-1] not in statistics.busy:
            open_children = [
                child
                for child in path[-1].children
                if child not in statistics.closed and child not in statistics.busy
            ]
            if not open_children:
                return None
            path.append(max(open_children, key=lambda child: self._urge(child, statistics)))
        leaf = path[-1]
        return None if leaf in statistics.closed or leaf in statistics.busy else path

    def _urge(self, child: Node, statistics: _Statistics) -> float:
        """Q + U."""
        parent = child.parent
        assert parent is not None
        visits, above = statistics.visits[child], statistics.visits[parent]
        if self.rule is Rule.UCT:
            if not visits:
                return math.inf
            return statistics.mean(child) + self.exploration * math.sqrt(math.log(above) / visits)
        total = sum(_likelihood(sibling) for sibling in parent.children)
        prior = _likelihood(child) / total  # P
        bonus = self.exploration * prior * math.sqrt(above) / (1 + visits)
        return statistics.mean(child) + bonus


def _likelihood(node: Node) -> float:
    """The policy's mean token probability of a step; 1 where its tokens are unknown."""
    step = node.step
    assert step is not None
    return math.exp(step.logprob / len(step.token_ids)) if step.token_ids else 1.0
