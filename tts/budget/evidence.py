"""Evidence: how probable each answer is, given how often it was written and what votes said of it.

The model behind the scheduler, exact and small. One answer is right, perhaps one that nobody has
written yet. A solution gives it with an unknown probability, Beta distributed; wrong solutions
scatter over wrong answers by a Chinese restaurant process (Pitman 2006, sec. 3.1), so that answers
which come up again and again are probably right, and answers that come up once probably not: that
is what makes majority voting work. A verifier approves right and wrong solutions at its measured
rates. Majority voting is the limit of a verifier that knows nothing, best-of-N by score that of
samples that agree by chance alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from tts.errors import ConfigError

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Share = TypeVar("Share", float, Floats)

_MOST: Final = 4096
"""Most solutions of one problem that are told apart; more count as this many."""


@dataclass(frozen=True)
class Evidence:
    """What is known beforehand of a policy and its verifier.

    Raises:
        ConfigError: a rate is not inside (0, 1), or a weight not above 0.
    """

    approves_right: float = 0.9
    """P(a vote says Yes | the solution is right): the true-positive rate, in (0, 1)."""
    approves_wrong: float = 0.15
    """P(a vote says Yes | it is wrong): the false-positive rate, in (0, 1)."""
    correlation: float = 0.5
    """Of several votes on one solution, in [0, 1]: at 1 the second vote says nothing new."""
    successes: float = 1.0  # alpha
    failures: float = 1.0  # beta
    """Of the Beta distribution of P(a sample is right)."""
    scatter: float = 4.0  # theta
    """How readily a wrong solution gives a wrong answer that nobody has given; > 0."""

    def __post_init__(self) -> None:
        for name in ("approves_right", "approves_wrong"):
            if not 0 < getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)} must be between 0 and 1")
        if not 0 <= self.correlation <= 1:
            raise ConfigError(f"correlation={self.correlation} must be in [0, 1]")
        for name in ("successes", "failures", "scatter"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name}={getattr(self, name)} must be above 0")

    def approval(self, share: Share) -> tuple[Share, Share]:
        """P(a vote finds no error in the first `share` of a right solution), and of a wrong one.

        An error is where it is found with equal chance anywhere; `share` is in [0, 1].
        """
        return 1 - (1 - self.approves_right) * share, 1 - (1 - self.approves_wrong) * share

    def yes(self, share: Share) -> Share:
        """What a Yes to the first `share` of a solution weighs, nats.

        That is the log of its likelihood ratio, right over wrong.
        """
        right, wrong = self.approval(share)
        ratio: Share = np.log(right / wrong)
        return ratio

    @property
    def no(self) -> float:
        """What a No weighs, nats, wherever it is said."""
        return math.log((1 - self.approves_right) / (1 - self.approves_wrong))

    def independent(self, votes: int) -> float:
        """How many independent votes `votes` correlated ones on one solution amount to."""
        return votes / (1 + (votes - 1) * self.correlation) if votes else 0.0

    def weight(self, witness: Witness) -> float:
        """What the votes on a solution weigh for it, nats; 0 for none."""
        if (score := witness.score) is None:
            return 0.0
        once = score * self.yes(witness.covered) + (1 - score) * self.no
        return self.independent(witness.votes) * once

    def another(self, votes: int, score: float) -> tuple[float, float]:
        """What a Yes, and a No, adds to the weight of `votes` on a whole solution, nats.

        Args:
            votes: at least 1.
            score: their mean P(Yes), in [0, 1].

        Returns:
            At least 0, and at most 0, of a verifier that is better than chance.
        """
        now = self.weight(Witness(0, score, votes))
        yes, no = (
            self.weight(Witness(0, (score * votes + said) / (votes + 1), votes + 1))
            for said in (1, 0)
        )
        return yes - now, no - now

    def mended(self, chance: Share, rest: Share, failures: int) -> Share:
        """P(a solution is right that was resumed before the step found wrong in another).

        Errors are equally likely in all of a solution, so what is written anew, `rest` of it, has
        fewer of them. That the step is the first wrong one is as sure as the verifier is better
        than chance; and the more often what was resumed there was found wrong again,
        `failures`, the more likely an error before it went unseen.

        Args:
            chance: of a new solution, in [0, 1].
            rest: in [0, 1].
            failures: solutions resumed at this step before, which were not enough.
        """
        sight = max(0.0, self.approves_right - self.approves_wrong)
        resumed: Share = chance**rest
        failed = (1 - self.approves_wrong) * (1 - resumed) ** failures
        sound = failed / (failed + self.approves_wrong)
        return sound * (sight * resumed + (1 - sight) * chance)

    def beliefs(self, counts: Counts, weights: Floats, without: int = 0) -> Floats:
        """P(each answer is the right one), and last that none of them is.

        Args:
            counts: [..., K] solutions that give each of K answers; 0 where there is no such answer.
            weights: [..., K] what votes weigh for the solutions of each answer, summed, nats.
            without: solutions that give no answer, and so are wrong.

        Returns:
            [..., K + 1], each row summing to 1.
        """
        gamma = self._log_gamma
        given = counts.sum(-1, keepdims=True)
        total = given + without
        seen = counts > 0
        # Under "answer a is right", the others are a random partition of the wrong solutions.
        blocks = np.where(seen, gamma["one"][counts], 0.0)
        tables = seen.sum(-1, keepdims=True)
        partition = (
            (tables - 1) * math.log(self.scatter)
            + blocks.sum(-1, keepdims=True)
            - blocks
            - gamma["scatter"][given - counts]
        )
        rate = gamma["successes"][counts] + gamma["failures"][total - counts]
        known = np.where(seen, rate + partition + weights, -np.inf)
        unseen = (
            gamma["successes"][0]
            + gamma["failures"][total]
            + tables * math.log(self.scatter)
            + blocks.sum(-1, keepdims=True)
            - gamma["scatter"][given]
        )
        logs = np.concatenate([known, unseen], -1)
        logs -= logs.max(-1, keepdims=True)
        odds = np.exp(logs)
        return np.asarray(odds / odds.sum(-1, keepdims=True))

    @cached_property
    def _log_gamma(self) -> dict[str, Floats]:
        """Log Gamma(offset + n) for n = 0, 1, 2, ...; `one` has no offset, and 0 at n = 0."""
        offsets = {
            "one": 0.0,
            "successes": self.successes,
            "failures": self.failures,
            "scatter": self.scatter,
        }
        return {
            name: np.array([math.lgamma(offset + n) if offset + n else 0.0 for n in range(_MOST)])
            for name, offset in offsets.items()
        }


class Heard(Protocol):
    """A solution, or who speaks for it, as far as it was judged."""

    @property
    def score(self) -> float | None: ...

    @property
    def votes(self) -> int: ...

    @property
    def covered(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Witness:
    """One finished solution speaks for its answer, as far as it was believed."""

    label: int | None
    """Class of its answer, from 0; None: it gives none."""
    score: float | None = None
    """Mean P(Yes) in [0, 1] at the step that is doubted most; None: no vote yet."""
    votes: int = 0
    """How many votes that is the mean of."""
    covered: float = 1.0
    """Share of its steps that they are about, in [0, 1]; 1 where one was found wrong."""

    @classmethod
    def of(cls, label: int | None, solution: Heard) -> Witness:
        """What is known of `solution`, which gives the answer `label`."""
        return cls(label, solution.score, solution.votes, solution.covered)


@dataclass(frozen=True, slots=True)
class Tally:
    """All solutions of a problem, by answer."""

    counts: Counts
    """[K] solutions."""
    weights: Floats
    """[K] nats."""
    without: int
    """Solutions without an answer."""

    @classmethod
    def of(cls, solutions: Sequence[Witness], evidence: Evidence) -> Tally:
        """Labels count from 0; one that nobody gives counts no solution."""
        classes = 1 + max((each.label for each in solutions if each.label is not None), default=-1)
        counts, weights = np.zeros(classes, np.int64), np.zeros(classes)
        for each in solutions:
            if each.label is not None:
                counts[each.label] += 1
                weights[each.label] += evidence.weight(each)
        return cls(counts, weights, sum(each.label is None for each in solutions))


def evidence_of(strategy: object) -> Evidence | None:
    """What `strategy` believes of its two models; None: it goes by no such beliefs."""
    evidence = getattr(strategy, "evidence", None)
    return evidence if isinstance(evidence, Evidence) else None
