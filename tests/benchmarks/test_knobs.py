"""Knobs of benchmarks: what cannot be used is refused before anything is run."""

import pytest

from tts.config import make_with
from tts.errors import ConfigError
from tts_benchmarks.report import levels

WRONG = [
    ("nano_policy", "problems", "0"),
    ("nano_policy", "samples", "0"),
    ("nano_policy", "seed", "-1"),
    ("nano_policy", "levels", "9"),
    ("nano_search", "problems", "-1"),
    ("nano_search", "levels", "5-3"),
    ("nano_search", "levels", "x"),
    ("nano_search", "families", "foo"),
    ("nano_table", "problems", "0"),
    ("nano_table", "families", "foo"),
    ("nano_progress", "each", "0"),
    ("nano_progress", "rollouts", "0"),
    ("nano_progress", "ratios", "x"),
    ("nano_progress", "differences", ""),
    ("processbench", "each", "0"),
    ("processbench", "families", "words,foo"),
    ("processbench", "verifiers", "foo"),
    ("processbench", "verifiers", ""),
    ("processbench", "threshold", "foo"),
    ("nano_budgets", "problems", "0"),
    ("nano_budgets", "least", "-1"),
    ("nano_budgets", "family", "foo"),
]


@pytest.mark.parametrize(("name", "knob", "value"), WRONG)
def test_what_cannot_be_used_is_refused_by_its_value(name: str, knob: str, value: str) -> None:
    with pytest.raises(ConfigError) as refused:
        make_with("benchmarks", name, [(knob, value)])
    assert value.rpartition(",")[2] in str(refused.value)


def test_levels_are_written_as_people_do() -> None:
    assert levels("4", range(1, 8)) == [4]
    assert levels("1-3,6", range(1, 8)) == [1, 2, 3, 6]
