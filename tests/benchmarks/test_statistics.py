"""Estimators against what can be worked out by hand or by counting."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_benchmarks.statistics import difference, estimate, majority_share, pass_at_k


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.data())
def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample(
    samples: list[bool], data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(samples)))
    subsets = list(combinations(samples, k))
    counted = sum(any(subset) for subset in subsets) / len(subsets)
    assert pass_at_k(len(samples), sum(samples), k) == pytest.approx(counted)


@pytest.mark.parametrize(("samples", "right", "k"), [(4, 5, 1), (4, 2, 0), (4, 2, 5), (4, -1, 2)])
def test_impossible_counts_are_refused(samples: int, right: int, k: int) -> None:
    with pytest.raises(ValueError, match="no pass@"):
        pass_at_k(samples, right, k)


def test_a_tie_is_half_a_point() -> None:
    assert majority_share([1, 1, 2, 2, None, None, None], 1) == 0.5
    assert majority_share([1, 2, 2, None], 1) == 0.0
    assert majority_share([None, None], None) == 0.0


def test_the_interval_covers_the_truth_nineteen_times_in_twenty() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for trial in range(200):
        found = estimate(list(rng.random(120) < 0.4), seed=trial)
        covered += found.low <= 0.4 <= found.high
    assert 178 <= covered <= 200


def test_a_paired_difference_is_tighter_than_its_parts() -> None:
    rng = np.random.default_rng(2)
    hard = rng.random(300)
    one, other = list(hard + 0.1), list(hard)
    gap = difference(one, other)
    assert gap.mean == pytest.approx(0.1)
    assert gap.high - gap.low < 1e-6
    assert estimate(one).high - estimate(one).low > 0.05
