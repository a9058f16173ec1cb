"""Prior: what to believe of a policy before it has written anything, from problems like these.

Three numbers of `Evidence` are the policy's: how often its samples are right, as a Beta
distribution over problems, and how its wrong ones scatter. Here they are those under which samples
for problems with known answers are most probable, pulled a little towards the defaults: with few
samples almost any number would do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from tts.budget.evidence import Evidence, Floats

_GRID: Final = 10 ** np.linspace(-1.0, 2.0, 61)
"""Values that are tried: neighbours are 12 % apart."""
_SURE: Final = 1.5
"""Standard deviation of what is believed of a number's logarithm, around its default."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What samples for one problem came to."""

    right: int
    wrong: Sequence[int] = ()
    """How many gave each of the wrong answers."""
    without: int = 0
    """How many gave none."""


def with_prior(evidence: Evidence, problems: Sequence[Outcomes]) -> Evidence:
    """`evidence`, believing of the policy what these samples make most probable."""
    hits = [each.right for each in problems]
    misses = [sum(each.wrong) + each.without for each in problems]
    totals = [right + wrong for right, wrong in zip(hits, misses, strict=True)]
    alpha, beta = _GRID[:, None], _GRID[None, :]
    rate = (
        _rising(alpha, hits)
        + _rising(beta, misses)
        - _rising(alpha + beta, totals)
        + _pull(alpha, evidence.successes)
        + _pull(beta, evidence.failures)
    )
    first, second = np.unravel_index(rate.argmax(), rate.shape)
    scatter = (
        sum(len(each.wrong) for each in problems) * np.log(_GRID)
        - _rising(_GRID, [sum(each.wrong) for each in problems])
        + _pull(_GRID, evidence.scatter)
    )
    return replace(
        evidence,
        successes=float(_GRID[first]),
        failures=float(_GRID[second]),
        scatter=float(_GRID[scatter.argmax()]),
    )


def _rising(start: Floats, counts: Sequence[int]) -> Floats:
    """Sum over counts n of log(start (start + 1) ... (start + n - 1))."""
    total = np.zeros_like(start)
    for step in range(max(counts, default=0)):
        total = total + sum(count > step for count in counts) * np.log(start + step)
    return total


def _pull(value: Floats, default: float) -> Floats:
    return -0.5 * ((np.log(value) - math.log(default)) / _SURE) ** 2
