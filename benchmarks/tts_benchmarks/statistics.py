"""Statistics of samples and selections, with intervals that count problems and not samples.

Problems are what was drawn at random; samples of one problem are alike. So every interval
resamples problems, and a comparison of two methods resamples their differences on the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt

_RESAMPLES = 10_000
_BATCH = 500  # resamples drawn at once, to bound memory


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over problems and its 95 % interval."""

    mean: float
    low: float
    high: float
    problems: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def estimate(values: Sequence[float], seed: int = 0) -> Estimate:
    """The mean of one value a problem, with a percentile bootstrap interval over problems.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no problems to estimate from")
    data = np.asarray(values, dtype=np.float64)
    means = _bootstrap(data, np.random.default_rng(seed))
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(data.mean()), float(low), float(high), len(data))


def difference(one: Sequence[float], other: Sequence[float], seed: int = 0) -> Estimate:
    """The mean of `one - other`, paired by problem, with its interval."""
    return estimate([a - b for a, b in zip(one, other, strict=True)], seed)


def pass_at_k(samples: int, right: int, k: int) -> float:
    """P(at least one of k samples is right), unbiased, from `right` of `samples`.

    Chen et al. 2021 (Codex), eq. 1. Needs 0 <= right <= samples and 1 <= k <= samples.
    """
    if not (0 <= right <= samples and 1 <= k <= samples):
        raise ValueError(f"no pass@{k} from {right} right of {samples}")
    return 1.0 - comb(samples - right, k) / comb(samples, k)


def majority_share(labels: Sequence[int | None], right: int | None) -> float:
    """Chance that the majority is the class `right`, ties broken at random.

    `labels` are classes of equal answers, None for no answer; `right` is None if no sample is
    right.
    """
    votes = [label for label in labels if label is not None]
    if not votes or right is None:
        return 0.0
    counts = {label: votes.count(label) for label in set(votes)}
    top = max(counts.values())
    winners = [label for label, count in counts.items() if count == top]
    return (right in winners) / len(winners)


def _bootstrap(data: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Means of `_RESAMPLES` samples of problems, drawn with replacement."""
    means = [
        data[rng.integers(0, len(data), (_BATCH, len(data)))].mean(axis=1)
        for _ in range(_RESAMPLES // _BATCH)
    ]
    return np.concatenate(means)


@dataclass(frozen=True, slots=True)
class FirstErrors:
    """How well first errors are found (ProcessBench, Zheng et al. 2024, sec. 4.1)."""

    wrong: Estimate
    """Share of wrong solutions whose first wrong step is named exactly."""
    right: Estimate
    """Share of right solutions in which no error is seen."""
    f1: Estimate
    """Harmonic mean of the two."""


def first_errors(truth: Sequence[int], found: Sequence[int | None], seed: int = 0) -> FirstErrors:
    """Score `found` against `truth`, both 0-based indices of the first wrong step, -1 for none.

    None is no verdict, and wrong. Both kinds of solutions are resampled apart, as they were drawn.

    Raises:
        ValueError: one kind of solutions is missing.
    """
    wrong, right = _hits(truth, found)
    rng = np.random.default_rng(seed)
    means = [_bootstrap(part, rng) for part in (wrong, right)]
    harmonic = _harmonic(*means)
    low, high = np.quantile(harmonic, [0.025, 0.975])
    f1 = Estimate(f1_score(truth, found), float(low), float(high), len(truth))
    return FirstErrors(estimate(list(wrong), seed), estimate(list(right), seed), f1)


def f1_score(truth: Sequence[int], found: Sequence[int | None]) -> float:
    """The F1 of `first_errors`, without its interval.

    Raises:
        ValueError: one kind of solutions is missing.
    """
    wrong, right = _hits(truth, found)
    return float(_harmonic(wrong.mean(keepdims=True), right.mean(keepdims=True))[0])


def _hits(
    truth: Sequence[int], found: Sequence[int | None]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """1 where a solution's label was found, else 0: of the wrong solutions, and of the right."""
    hits = [(label, float(label == guess)) for label, guess in zip(truth, found, strict=True)]
    wrong = np.asarray([hit for label, hit in hits if label >= 0])
    right = np.asarray([hit for label, hit in hits if label < 0])
    if not len(wrong) or not len(right):
        raise ValueError("both wrong and right solutions are needed")
    return wrong, right


def _harmonic(
    one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    total = one + other
    return np.divide(2 * one * other, total, out=np.zeros_like(total), where=total > 0)
