"""Shares: a width given out among prefixes in whole numbers that add up to it exactly."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from tts.tree import Node


def ranked(nodes: Iterable[Node]) -> list[Node]:
    """Best score first; of equals the one whose key comes first."""
    return sorted(nodes, key=lambda node: (-node.rank, node.key))


def in_turn(slots: int, width: int, nodes: Sequence[Node]) -> dict[Node, int]:
    """`width` for each node in turn, the rest for the one after them, nothing for the others."""
    shares: dict[Node, int] = {}
    for node in nodes:
        if slots <= 0:
            break
        shares[node] = min(width, slots)
        slots -= width
    return shares


def in_proportion(width: int, nodes: Sequence[Node], temperature: float) -> dict[Node, int]:
    """By the softmax of scores, best first, each rounded up until exactly `width` are given out.

    Wu et al. 2024 (REBASE), alg. 1; towards `temperature` 0 all goes to the best.
    """
    order = ranked(nodes)
    best = order[0].rank if order else 0.0
    # The best score is taken off before exp, so that nothing overflows and the sum is >= 1.
    weights = [math.exp((node.rank - best) / temperature) for node in order]
    shares: dict[Node, int] = {}
    for index, node in enumerate(order):
        part = weights[index] / math.fsum(weights[index:])  # exactly 1 for the last
        share = min(width, math.ceil(width * part))
        if share > 0:
            shares[node] = share
        width -= share
    return shares


def systematic(weights: npt.NDArray[np.float64], n: int, rng: np.random.Generator) -> list[int]:
    """`n` indices drawn by one uniform number: i comes floor or ceil of n x weights[i] times.

    `weights` are >= 0 and sum to 1 (Doucet & Johansen 2009, sec. 3.4).
    """
    points = (rng.random() + np.arange(n)) / n
    drawn = np.searchsorted(np.cumsum(weights), points).clip(max=len(weights) - 1)
    return [int(index) for index in drawn]
