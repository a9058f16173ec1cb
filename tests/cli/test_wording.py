"""Wording: numbers as people read them."""

import pytest

from tts.budget.budget import Budget
from tts.cli import wording


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (wording.scaled(0), "0"),
        (wording.scaled(999), "999"),
        (wording.scaled(1234), "1.23 k"),
        (wording.scaled(2.5e12), "2.5 T"),
        (wording.seconds(0.123), "0.12 s"),
        (wording.seconds(59.94), "59.9 s"),
        (wording.seconds(245), "4 min 5 s"),
        (wording.percent(1.0), "100%"),
        (wording.percent(0.999), "99%"),
        (wording.percent(0.5), "50%"),
        (wording.limits(Budget()), "no limit"),
        (wording.limits(Budget(tokens=8000, seconds=30)), "8,000 tokens and 30.0 s"),
        (wording.limits(Budget(flops=1e12)), "1 TFLOPs"),
        (wording.printable("a\x1b[2Jb\tc\n"), "a\N{REPLACEMENT CHARACTER}[2Jb\tc\n"),
    ],
)
def test_is_said_so(said, expected):
    assert said == expected
