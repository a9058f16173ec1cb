"""ETS: efficient tree search (Hooper et al. 2025, arXiv 2502.13575, sec. 4).

REBASE gives out its width among a few prefixes only: those that are worth the keys and values that
the engine must keep for them, of which siblings share most, and that differ from one another. Of
the open prefixes a set is chosen that maximises

    sum of REBASE's shares of the chosen - cost x nodes on their paths / nodes on all paths
      + coverage x clusters with a chosen one / all clusters

The paper clusters the last steps by a sentence encoder and solves this by an integer program. Here
two last steps are one cluster if they have the same words and numbers in the same order, which
needs no further model and tells fewer paraphrases apart; `select` solves it by branch and bound.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import ClassVar

from tts.strategy import Bill, ConfigError, Node, Paper, Search, at_least, in_proportion, positive

HOOPER = Paper(
    "ETS: Efficient Tree Search for Inference-Time Scaling",
    ("Coleman Hooper", "Sehoon Kim", "Suhong Moon", "Kerem Dilmen", "others"),
    2025,
    arxiv="2502.13575",
)
_MOST_BRANCHES = 200
"""Subproblems after which the best set found so far stands; widths up to 64 have needed fewer."""


@dataclass(frozen=True)
class ETS:
    """Width N, balance temperature T_b as in REBASE; what cache costs and what variety is worth."""

    n: int = 16  # N
    temperature: float = 0.2  # T_b
    cost: float = 1.0  # lambda_c
    coverage: float = 1.5  # lambda_s
    needs_verifier: ClassVar[bool] = True
    papers: ClassVar = (HOOPER,)
    bill: ClassVar = Bill("n * depth", "n * depth")

    def __post_init__(self) -> None:
        at_least(1, n=self.n)
        positive(temperature=self.temperature)
        if self.cost < 0 or self.coverage < 0:
            raise ConfigError(f"cost={self.cost}, coverage={self.coverage} must be 0 or above")

    async def run(self, search: Search) -> None:
        width = self.n
        level = await search.expand(search.root, width)
        while level:
            width -= sum(node.finished for node in level)
            kept = self.choose(width, [node for node in level if not node.finished])
            shares = in_proportion(width, kept, self.temperature)
            level = await search.expand_all(shares)

    def choose(self, width: int, leaves: Sequence[Node]) -> list[Node]:
        """The prefixes that are kept: at least one, if there is one and any width for it."""
        if not leaves or width < 1:
            return []
        shares = in_proportion(width, leaves, self.temperature)  # W_i; O_i = W_i / sum W
        values = {leaf: shares.get(leaf, 0) / width for leaf in leaves}
        clusters = {leaf: _words(leaf) for leaf in leaves}
        nodes = len({node for leaf in leaves for node in leaf.path()})  # M + N
        bonus = self.coverage / len(set(clusters.values()))
        return select(values, clusters, self.cost / nodes, bonus)


def select(
    values: Mapping[Node, float], clusters: Mapping[Node, str], cost: float, bonus: float
) -> list[Node]:
    """The leaves of most value, less `cost` a node on their paths, plus `bonus` a cluster.

    The best leaf alone, if no set is worth more than none. Otherwise exact: what is best without
    any bonus is part of what is best with it, since paths to more leaves share more nodes; so its
    clusters are covered for nothing. For the others, let first every leaf earn the bonus: one walk
    over the tree then finds a set that is worth at least the best. If two leaves of one cluster
    are in it, branch on which leaf of the cluster is the one that earns.
    """
    members: dict[str, list[Node]] = defaultdict(list)
    for leaf, cluster in clusters.items():
        members[cluster].append(leaf)

    def relaxed(earner: Mapping[str, Node]) -> tuple[float, list[Node]]:
        return _best_subtree(
            {
                leaf: value + (bonus if earner.get(clusters[leaf], leaf) is leaf else 0.0)
                for leaf, value in values.items()
            },
            cost,
        )

    def worth(chosen: Sequence[Node]) -> float:
        paths = {node for leaf in chosen for node in leaf.path()}
        covered = {clusters[leaf] for leaf in chosen}
        return sum(values[leaf] for leaf in chosen) - cost * len(paths) + bonus * len(covered)

    best = max(([leaf] for leaf in values), key=worth)  # one must be kept
    free = {clusters[leaf]: leaf for leaf in _best_subtree(values, cost)[1]}
    order = count()
    branches = [(-relaxed(free)[0], next(order), free)]
    for _ in range(_MOST_BRANCHES):
        if not branches or -branches[0][0] <= worth(best) + 1e-12:
            break
        earner = heapq.heappop(branches)[2]
        chosen = relaxed(earner)[1]
        if worth(chosen) > max(0.0, worth(best)):
            best = chosen
        taken = Counter(clusters[leaf] for leaf in chosen if clusters[leaf] not in earner)
        doubled = next((cluster for cluster, times in taken.items() if times > 1), None)
        for leaf in members[doubled] if doubled is not None else ():
            branch = {**earner, clusters[leaf]: leaf}
            heapq.heappush(branches, (-relaxed(branch)[0], next(order), branch))
    return sorted(best, key=lambda leaf: leaf.key)


def _best_subtree(weights: Mapping[Node, float], cost: float) -> tuple[float, list[Node]]:
    """The leaves of most weight, less `cost` for each node on a path to one: from the leaves up."""
    below: dict[Node, dict[Node, None]] = defaultdict(dict)
    for leaf in weights:
        for node in leaf.path():
            assert node.parent is not None
            below[node.parent][node] = None

    def gain(node: Node) -> tuple[float, list[Node]]:
        """Of what is best below `node`, its own cost included."""
        total, chosen = weights.get(node, 0.0) - cost * (node.step is not None), [node]
        if node in below:
            chosen = []
            for child in below[node]:
                more, leaves = gain(child)
                if more > 0:
                    total, chosen = total + more, chosen + leaves
        return total, chosen

    (root,) = (node for node in below if node.step is None)
    return gain(root)


def _words(leaf: Node) -> str:
    """What a last step says, without case, space and punctuation."""
    text = leaf.step.text if leaf.step is not None else ""
    return " ".join(re.findall(r"\w+|[-+*/=<>^]", text.casefold()))
