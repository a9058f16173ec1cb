"""From success rates to labels."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.errors import ConfigError
from tts_verifiers.synthesis.progress import Kind, Rule, Schedule, relative, settle

RATES = st.lists(
    st.integers(0, 32).map(lambda successes: Fraction(successes, 32)), min_size=1, max_size=9
)
EPSILONS = st.sampled_from([0.1, 0.5, 0.8, 1.0])


def rates(*percent: int) -> list[Fraction]:
    return [Fraction(each, 100) for each in percent]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        # P = 40/50 = 0.8, 36/40 = 0.9, 20/36 = 0.56, 30/20 = 1.5, 0/30 = 0, 0/0
        (Rule(Kind.RATIO, 0.8), (True, True, False, True, False, False)),
        (Rule(Kind.RATIO, 0.5), (True, True, True, True, False, False)),
        (Rule(Kind.RATIO, 1.0), (False, False, False, True, False, False)),
        # differences -0.10, -0.04, -0.16, +0.10, -0.30, 0 (but nothing follows from 0)
        (Rule(Kind.DIFFERENCE, 0.1), (True, True, False, True, False, False)),
        (Rule(Kind.DIFFERENCE, 0.3), (True, True, True, True, True, False)),
        (Rule(Kind.HARD, 0.0), (True, True, True, True, False, False)),
    ],
)
def test_labels_checked_by_hand(rule, expected):
    assert rule.labels(rates(50, 40, 36, 20, 30, 0, 70)) == expected


def test_relative_progress_checked_by_hand():
    found = relative(rates(50, 40, 60, 0, 70))
    assert found == (Fraction(4, 5), Fraction(3, 2), Fraction(0), None)


def test_after_the_first_zero_all_rates_are_zero():
    assert settle(rates(50, 20, 0, 30, 40)) == tuple(rates(50, 20, 0, 0, 0))


def test_a_ratio_exactly_at_the_threshold_is_right_though_floats_would_miss_it():
    assert (21 / 30) / (7 / 8) < 0.8  # which it is not
    assert Rule().labels([Fraction(7, 8), Fraction(21, 30)]) == (True,)


def test_nothing_is_right_where_the_problem_was_never_solved():
    assert Rule().labels(rates(0, 50, 100)) == (False, False)


@given(RATES, st.sampled_from(list(Kind)), EPSILONS)
def test_no_step_is_right_after_a_dead_one(values, kind, epsilon):
    labels = Rule(kind, epsilon).labels(values)
    dead = next((i for i, value in enumerate(values) if value == 0), len(values))
    assert len(labels) == len(values) - 1
    assert not any(labels[dead:])


@given(RATES, EPSILONS, EPSILONS)
def test_a_higher_ratio_asks_for_more(values, one, other):
    low, high = sorted((one, other))
    strict, lax = (Rule(Kind.RATIO, each).labels(values) for each in (high, low))
    assert all(more for less, more in zip(strict, lax, strict=True) if less)


@given(RATES, EPSILONS)
def test_what_a_ratio_calls_right_is_right_by_the_hard_rule(values, epsilon):
    hard = Rule(Kind.HARD, 0.0).labels(values)
    ratio = Rule(Kind.RATIO, epsilon).labels(values)
    assert all(may for is_right, may in zip(ratio, hard, strict=True) if is_right)


@given(RATES, EPSILONS)
def test_ratio_and_relative_progress_say_the_same(values, epsilon):
    progress = relative(values)
    expected = tuple(each is not None and each >= Fraction(str(epsilon)) for each in progress)
    assert Rule(Kind.RATIO, epsilon).labels(values) == expected


@pytest.mark.parametrize(
    ("factor", "percent", "expected"),
    [
        (1, 0, 128), (1, 9, 128), (1, 10, 64), (1, 89, 64), (1, 90, 32), (1, 100, 32),
        (0.25, 0, 32), (0.25, 50, 16), (0.25, 95, 8), (0.01, 95, 1), (0.1, 95, 4),
    ],
)  # fmt: skip
def test_rollouts_follow_equation_9(factor, percent, expected):
    assert Schedule(factor).rollouts(Fraction(percent, 100)) == expected


def test_rules_by_name_have_the_best_thresholds_of_the_paper():
    assert str(Rule.named("ratio")) == "ratio >= 0.8"
    assert str(Rule.named("difference")) == "difference >= -0.3"
    assert str(Rule.named("hard")) == "rate > 0"
    assert Rule.named("ratio", 0.5).threshold == 0.5


@pytest.mark.parametrize(
    ("kind", "threshold", "message"),
    [
        ("soft", None, "unknown rule 'soft'"),
        ("ratio", 1.5, "in \\[0, 1\\]"),
        ("ratio", 0.0, "every step right"),
        ("hard", 0.5, "no threshold"),
    ],
)
def test_rules_that_make_no_sense_are_refused(kind, threshold, message):
    with pytest.raises(ConfigError, match=message):
        Rule.named(kind, threshold)


@pytest.mark.parametrize("factor", [0, -1, float("inf"), float("nan")])
def test_a_factor_is_above_zero(factor):
    with pytest.raises(ConfigError, match="factor"):
        Schedule(factor)
