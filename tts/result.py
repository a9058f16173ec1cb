"""Result: what a search found, what it took, and why it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tts.budget.budget import NOTHING, Amount
from tts.events import Event, StopReason
from tts.select import Candidate
from tts.tree import Tree
from tts.types import FREE, POLICY, VERIFIER, Account, Cost, Problem, Step

if TYPE_CHECKING:
    import networkx


@dataclass(frozen=True, slots=True)
class Spend:
    """What a search took."""

    costs: Mapping[Account, Cost]
    total: Amount
    """In the units of a budget."""
    seconds: float
    wasted: Mapping[Account, Cost] = field(default_factory=dict)
    """Of the costs, what is in no answer: see `tts.waste`."""
    waste: Amount = NOTHING
    """The same in the units of a budget."""

    @property
    def wasted_share(self) -> float:
        """Part of all output tokens that is in no answer, in [0, 1]."""
        return self.waste.tokens / self.total.tokens if self.total.tokens else 0.0

    @property
    def policy(self) -> Cost:
        return self.costs.get(POLICY, FREE)

    @property
    def verifier(self) -> Cost:
        return self.costs.get(VERIFIER, FREE)

    @property
    def cached_share(self) -> float:
        """Part of all prompt tokens that came out of prefix caches, in [0, 1]."""
        prompt = sum(cost.prompt_tokens for cost in self.costs.values())
        cached = sum(cost.cached_tokens for cost in self.costs.values())
        return cached / prompt if prompt else 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """Always there, whatever ended the search: the best until then."""

    problem: Problem
    answer: str | None
    """The chosen answer; None if no candidate states one."""
    confidence: float
    """The chosen answer's share of the (weighted) vote, in [0, 1]; P(right) if `probable` chose."""
    best: Candidate | None
    """The candidate that speaks for the chosen answer."""
    candidates: tuple[Candidate, ...]
    """All finished solutions, by key, those without an answer included."""
    stop_reason: StopReason
    spend: Spend
    tree: Tree
    events: tuple[Event, ...]
    seed: int
    selector: str = "majority"
    """The name of what chose the answer, see `tts.select`."""
    errors: tuple[str, ...] = ()
    """What went wrong on the way, for people."""
    abstained: int = 0
    """Judgements that gave no score."""
    undecided: int = 0
    """Pairs of answers whose equality could not be settled; they count as different."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of the best candidate."""
        return () if self.best is None else self.tree[self.best.key].steps()

    @property
    def graph(self) -> networkx.DiGraph[str]:
        """The tree as a graph, see `tts.export.graph`."""
        from tts.export import graph

        return graph(self.tree)
