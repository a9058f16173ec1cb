import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.answers import Verdict, normalise, quick_verdict

EQUAL, UNEQUAL, UNKNOWN = Verdict.EQUAL, Verdict.UNEQUAL, Verdict.UNKNOWN


def quick(left: str, right: str) -> Verdict | None:
    return quick_verdict(normalise(left), normalise(right))


@pytest.mark.parametrize(
    ("left", "right", "verdict"),
    [
        ("5", "5", EQUAL),
        ("5", " $5$. ", EQUAL),
        ("5", "6", UNEQUAL),
        ("-0", "0", EQUAL),
        ("+5", "5.0", EQUAL),
        ("5.", "5", EQUAL),
        (".5", "0.5", EQUAL),
        ("007", "7", EQUAL),
        ("1/2", "0.5", EQUAL),
        (r"\frac{3}{6}", "0.5", EQUAL),
        (r"\dfrac{3}{6}", r"\tfrac12", EQUAL),
        (r"-\frac{1}{2}", r"\frac{-1}{2}", EQUAL),
        (r"\frac12", "2", UNEQUAL),
        ("1/3", "0.333333", UNEQUAL),
        ("1,000", "1000", EQUAL),
        (r"1{,}000{,}000", r"1\,000\,000", EQUAL),
        ("1,234,567.5", "1234567.5", EQUAL),
        (r"\$5", "5", EQUAL),
        (r"50\%", "0.5", UNEQUAL),
        (r"50\%", "50%", EQUAL),
        (r"50\%", "50", EQUAL),
        ("1e3", "1000", EQUAL),
        ("2.5e-3", "0.0025", EQUAL),
        ("\N{MINUS SIGN}3", "-3", EQUAL),
        (r"\text{even}", "even", EQUAL),
        ("East", r"\text{east}", EQUAL),
        (r"\textbf{(C)}", "C", EQUAL),
        ("yes", "no", UNEQUAL),
        ("no", "on", UNKNOWN),
        (r"\text{no}", "on", UNEQUAL),
        ("even", "2", UNEQUAL),
        ("101_2", "101_{2}", EQUAL),
        ("101_2", "101_3", UNEQUAL),
        ("x + 1", "x+1", EQUAL),
        (r"\left( 0,1 \right)", "(0, 1)", EQUAL),
        ("", "5", UNEQUAL),
        ("", "", UNKNOWN),
        ("$$", ".", UNKNOWN),
        ("1" * 3_000, "2" * 3_000, UNKNOWN),
        ("1" * 3_000, "1" * 3_000, EQUAL),
        ("10%3", "1", UNKNOWN),
    ],
)
def test_notation_decides(left: str, right: str, verdict: Verdict) -> None:
    assert quick(left, right) is verdict
    assert quick(right, left) is verdict


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("1,00", "100"),
        ("(1,2)", "12"),
        ("1,2", "12"),
        ("0,123", "123"),
        ("1 2", "12"),
        (r"2\pi", "6.2832"),
        ("10**10**10", "5"),
        ("10^{10^{10}}", "5"),
        ("1e999999999", "5"),
        ("1/0", "2/0"),
        ("9" * 500, "8" * 500),
        ("x-y", "y-x"),
        ("x-x", "y-y"),
        ("50%+1", "51"),
    ],
)
def test_notation_leaves_the_rest_open(left: str, right: str) -> None:
    assert quick(left, right) in {None, UNKNOWN}


def test_matrix_rows_keep_their_breaks() -> None:
    assert normalise(r"\begin{pmatrix} 1 \\[2pt] 2 \end{pmatrix}") == (
        r"\begin{pmatrix}1\\[2pt]2\end{pmatrix}"
    )


def test_commands_keep_their_letters_apart() -> None:
    assert normalise(r"\pi\,r") == normalise(r"\pi r") == r"\pi r"
    assert normalise(r"\leftarrow") == r"\leftarrow"


PIECES = st.lists(
    st.sampled_from([r"\%", r"\,", r"\left", r"\right", r"\text{", r"\frac", r"\dfrac", "{,}"])
    | st.sampled_from("512,.$%-/() xe{}0\\\N{DEGREE SIGN}"),
    max_size=25,
).map("".join)


@given(PIECES | st.text())
def test_normal_form_is_a_fixed_point(answer: str) -> None:
    form = normalise(answer)
    assert normalise(form) == form


@given(PIECES, PIECES)
def test_quick_verdict_has_no_sides(left: str, right: str) -> None:
    assert quick(left, right) is quick(right, left)


@given(st.fractions(max_denominator=10_000), st.fractions(max_denominator=10_000))
def test_rationals_are_exact(left: object, right: object) -> None:
    assert (quick(str(left), str(right)) is EQUAL) == (left == right)
    assert quick(str(left), str(left)) is EQUAL


@given(st.integers())
def test_thousands_separators_change_nothing(number: int) -> None:
    assert quick(f"{number:,}", str(number)) is EQUAL


@pytest.mark.parametrize("unit", ["\\", "$", " ", "%", "1,", "\\left", "{,}", ".", "\\,", "a "])
def test_megabyte_answers_take_linear_time(unit: str) -> None:
    begun = time.thread_time()
    for size in (2_000, 1_000_000):
        quick((unit * size)[:size], (unit * size)[: size - 1])
    assert time.thread_time() - begun < 15


def test_host_imports_no_algebra() -> None:
    program = (
        "import sys, tts.answers; "
        "print(sorted({'sympy', 'math_verify', 'latex2sympy2_extended'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
