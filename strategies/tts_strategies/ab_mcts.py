"""AB-MCTS-A: wider or deeper, decided by Thompson sampling (Inoue et al. 2025, arXiv 2503.04412).

Its tree is one of whole solutions; a child is a revision of its parent. At each node the walk draws
from the posterior of generating a child there (GEN) and from that of going on to one of the
children (CONT), and follows the larger; at CONT it draws again, from each child's posterior. Scores
are in [0, 1], posteriors Beta, from Jeffreys' prior (the paper's other choice is a normal one). A
new score counts for GEN where it was generated, for the new node, for each node above it, and for
CONT where the walk chose among those.

A solution of which no step was judged wrong offers nothing to revise: it is not gone on to.
`at_once` walks draw from the same posteriors before any of their scores is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from tts.strategy import Bill, Node, Paper, Revising, Search, at_least

INOUE = Paper(
    "Wider or Deeper? Scaling LLM Inference-Time Compute with Adaptive Branching Tree Search",
    ("Yuichi Inoue", "Kou Misaki", "Yuki Imajuku", "So Kuroki", "Taishi Nakamura", "Takuya Akiba"),
    2025,
    arxiv="2503.04412",
)


@dataclass
class _Belief:
    """A Beta posterior, from Jeffreys' prior."""

    good: float = 0.5
    bad: float = 0.5

    def learn(self, score: float) -> None:
        self.good += score
        self.bad += 1 - score

    def draw(self, rng: np.random.Generator) -> float:
        return float(rng.beta(self.good, self.bad))


@dataclass(eq=False)
class _Place:
    """A solution and what is believed about it; the first place has none."""

    solution: Node | None = None
    above: _Place | None = None
    children: list[_Place] = field(default_factory=list)
    itself: _Belief = field(default_factory=_Belief)
    generate: _Belief = field(default_factory=_Belief)  # GEN
    proceed: _Belief = field(default_factory=_Belief)  # CONT
    revisable: bool = True

    def learn(self, solution: Node) -> None:
        """`solution` was generated here."""
        score = max(0.0, solution.rank)
        child = _Place(solution, self, revisable=solution.first_wrong is not None)
        self.children.append(child)
        self.generate.learn(score)
        child.itself.learn(score)
        place = self
        while place.above is not None:
            place.itself.learn(score)
            place.above.proceed.learn(score)
            place = place.above


@dataclass(frozen=True)
class ABMCTS:
    """At most N solutions."""

    n: int = 16
    at_once: int = 1
    how: Revising = Revising.AUTO
    needs_verifier: ClassVar[bool] = True
    papers: ClassVar = (INOUE,)
    bill: ClassVar = Bill("n", "n * depth", exact=False)

    def __post_init__(self) -> None:
        at_least(1, n=self.n, at_once=self.at_once)

    async def run(self, search: Search) -> None:
        how = self.how.settled(search.takes_instructions)
        top, left = _Place(), self.n
        while left > 0:
            walks = min(self.at_once, left)
            places = [_descend(top, search.rng) for _ in range(walks)]
            found = await _generate(search, how, iter(places), walks)
            left -= len(found)
            for solution, place in sorted(found, key=lambda pair: pair[0].key):
                place.learn(solution)


async def _generate(
    search: Search, how: Revising, places: Iterator[_Place], walks: int
) -> list[tuple[Node, _Place]]:
    """A solution for each of the places, where there can be one."""
    found: list[tuple[Node, _Place]] = []

    async def walk() -> None:
        place = next(places)
        if place.solution is None:
            found.append((await search.complete(search.root), place))
        elif (revised := await search.revise(place.solution, how)) is not None:
            found.append((revised, place))
        else:
            place.revisable = False  # the policy's context is full

    await search.spread(walk, walks)
    return found


def _descend(place: _Place, rng: np.random.Generator) -> _Place:
    """To where the next solution is generated."""
    while True:
        further = [child for child in place.children if child.revisable]
        if not further:
            return place
        if place.revisable and place.generate.draw(rng) >= place.proceed.draw(rng):
            return place
        place = max(further, key=lambda child: child.itself.draw(rng))
