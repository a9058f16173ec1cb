r"""Progress: what the success rates of a solution's prefixes say of its steps.

MC(s_1) is the rate at which the problem is solved from nothing, MC(s_t, a_t) = MC(s_{t+1}) the rate
at which the prefix that ends with step t is completed to the right answer. Relative progress
(GenPRM, sec. 3.2) is P_t = MC(s_t, a_t) / MC(s_t), and a step is right if P_t >= epsilon. The hard
rule is that of Math-Shepherd (Wang et al. 2024); the difference is the paper's other comparison.
Rates are fractions of counts and thresholds decimals as written: nothing is rounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from itertools import pairwise
from typing import Final

from tts.errors import ConfigError

ZERO: Final = Fraction(0)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A success rate: 0 <= successes <= rollouts. Without rollouts it is known to be 0."""

    successes: int
    rollouts: int

    @property
    def rate(self) -> Fraction:
        """In [0, 1]."""
        return Fraction(self.successes, self.rollouts) if self.rollouts else ZERO


DEAD: Final = Estimate(0, 0)
"""Of a prefix that goes on from one which is never completed."""


class Kind(Enum):
    """What of two success rates decides."""

    RATIO = "ratio"
    """MC(s_t, a_t) / MC(s_t) >= epsilon."""
    DIFFERENCE = "difference"
    """MC(s_t, a_t) - MC(s_t) >= -epsilon."""
    HARD = "hard"
    """MC(s_t, a_t) > 0."""


_DEFAULT: Final = {Kind.RATIO: 0.8, Kind.DIFFERENCE: 0.3, Kind.HARD: 0.0}
"""Of each kind the threshold that the paper found best (fig. 5)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule and its threshold.

    Raises:
        ConfigError: the threshold is not in [0, 1], or is 0 for a ratio, which calls all right.
    """

    kind: Kind = Kind.RATIO
    threshold: float = 0.8  # epsilon

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ConfigError(f"threshold={self.threshold} must be in [0, 1]")
        if self.kind is Kind.RATIO and self.threshold == 0:
            raise ConfigError("a ratio of at least 0 calls every step right: give a threshold > 0")

    @classmethod
    def named(cls, kind: str, threshold: float | None = None) -> Rule:
        """The rule of this kind, at the paper's best threshold if none is given."""
        kinds = {each.value: each for each in Kind}
        if kind not in kinds:
            raise ConfigError(f"unknown rule {kind!r} (allowed: {', '.join(sorted(kinds))})")
        known = kinds[kind]
        if known is Kind.HARD and threshold:
            raise ConfigError("the hard rule has no threshold")
        return cls(known, _DEFAULT[known] if threshold is None else threshold)

    def __str__(self) -> str:
        return {
            Kind.RATIO: f"ratio >= {self.threshold}",
            Kind.DIFFERENCE: f"difference >= -{self.threshold}",
            Kind.HARD: "rate > 0",
        }[self.kind]

    def labels(self, rates: Sequence[Fraction]) -> tuple[bool, ...]:
        """For each step whether it is right.

        Nothing follows from a prefix that is never completed: what comes after it is wrong under
        every rule (for a ratio: 0/0 is wrong).

        Args:
            rates: of the empty prefix, then of the prefix that ends with each step.
        """
        settled = settle(rates)
        return tuple(
            before > 0 and self._allows(before, after) for before, after in pairwise(settled)
        )

    def _allows(self, before: Fraction, after: Fraction) -> bool:
        epsilon = Fraction(str(self.threshold))
        match self.kind:
            case Kind.RATIO:
                return after >= epsilon * before
            case Kind.DIFFERENCE:
                return after - before >= -epsilon
            case Kind.HARD:
                return after > 0


def settle(rates: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """`rates` with every one after the first 0 set to 0 (GenPRM, sec. 3.2)."""
    settled: list[Fraction] = []
    for rate in rates:
        settled.append(ZERO if settled and settled[-1] == 0 else rate)
    return tuple(settled)


def relative(rates: Sequence[Fraction]) -> tuple[Fraction | None, ...]:
    """P_t for each step; None for 0/0. May be above 1: a step can make an answer likelier."""
    settled = settle(rates)
    return tuple(after / before if before else None for before, after in pairwise(settled))


@dataclass(frozen=True, slots=True)
class Schedule:
    """How many rollouts K a prefix gets, by the problem's rate MC(s_1) (GenPRM, eq. 9).

    The harder the problem, the rarer a success, and the more rollouts it takes to see one.
    `factor` scales all three counts, for small studies.

    Raises:
        ConfigError: `factor` is not above 0.
    """

    factor: float = 1.0
    hard: int = 128  # MC(s_1) < 0.1
    medium: int = 64  # MC(s_1) < 0.9
    easy: int = 32

    def __post_init__(self) -> None:
        if not 0 < self.factor < math.inf:
            raise ConfigError(f"factor={self.factor} must be above 0")

    def rollouts(self, rate: Fraction) -> int:
        """K, at least 1."""
        if rate < Fraction(1, 10):
            return self._scaled(self.hard)
        return self._scaled(self.medium if rate < Fraction(9, 10) else self.easy)

    @property
    def first(self) -> int:
        """The fewest rollouts that any prefix gets."""
        return self._scaled(self.easy)

    def _scaled(self, count: int) -> int:
        return max(1, math.ceil(Fraction(str(self.factor)) * count))


DEFAULT_RULE: Final = Rule()
DEFAULT_SCHEDULE: Final = Schedule()
