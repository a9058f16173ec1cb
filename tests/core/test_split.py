"""The law that splits a budget into samples and votes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.budget.split import Law
from tts.errors import ConfigError
from tts.events import Judged
from tts.testing import Bench
from tts_strategies.split import Split


@given(st.floats(0.1, 1e5), st.floats(0, 50))
def test_what_is_chosen_is_paid_for(budget: float, price: float) -> None:
    samples, votes = Law().choose(budget, price)
    assert samples >= 1
    assert samples * (1 + price * votes) <= max(budget, 1)


@given(st.floats(1, 1e4), st.floats(0.1, 20))
def test_a_larger_budget_never_buys_fewer_votes(budget: float, price: float) -> None:
    small, large = (Law().choose(each, price)[1] for each in (budget, 2 * budget))
    assert small <= large


def test_samples_grow_faster_than_votes() -> None:
    (s1, v1), (s2, v2) = (Law().choose(budget, 3.0) for budget in (100, 10_000))
    assert s2 / s1 > v2 / v1 > 1


@pytest.mark.parametrize(("budget", "price"), [(0, 1), (-1, 1), (4, -1)])
def test_budgets_and_prices_that_are_none_are_refused(budget: float, price: float) -> None:
    with pytest.raises(ConfigError, match="must be above 0"):
        Law().choose(budget, price)


def test_without_votes_the_verifier_is_not_asked() -> None:
    result = Bench().solve(Split(samples=4, votes=0))
    assert len(result.candidates) == 4
    assert not any(isinstance(event, Judged) for event in result.events)
