"""Limits as people write them, and as they must not."""

import pytest

from tts.budget.budget import Budget, duration, quantity, written
from tts.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [("800", 800), ("8k", 8000), ("1.5M", 1.5e6), ("2e15", 2e15), ("3P", 3e15), (" 7 K ", 7000)],
)
def test_quantities(text: str, value: float) -> None:
    assert quantity(text) == value


@pytest.mark.parametrize("text", ["", "k", "-5", "8q", "1,000", "nan", "inf", "0x10"])
def test_other_texts_are_no_quantities(text: str) -> None:
    with pytest.raises(ConfigError, match="not a quantity"):
        quantity(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30), ("30s", 30), ("1.5m", 90), ("2h", 7200), ("500ms", 0.5)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
@pytest.mark.parametrize("unit", ["tokens", "flops", "seconds", "samples", "calls", "usd"])
def test_a_limit_that_is_not_positive_is_refused_by_name(unit: str, limit: float) -> None:
    with pytest.raises(ConfigError, match=f"budget {unit}="):
        Budget(**{unit: limit})


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("8k", Budget(tokens=8000)),
        ("usd=0.02", Budget(usd=0.02)),
        ("tokens=8k, seconds=1.5m,flops=1T", Budget(tokens=8000, seconds=90, flops=1e12)),
    ],
)
def test_limits_are_written_in_any_units(text: str, budget: Budget) -> None:
    assert written(text) == budget


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("usd=1,usd=2", "twice"), ("8k,tokens=3", "twice"), ("eur=2", "unit of a budget 'eur'")],
)
def test_limits_that_make_no_sense_are_refused(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        written(text)
