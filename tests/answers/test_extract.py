import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.answers import extract_answer, extract_answer_or_last_number
from tts.answers.extract import LONGEST_ANSWER

STATED = [
    (r"The final answer is $\boxed{42}$. I hope it is correct.", "42"),
    (r"so \boxed{3}, and with x = 4 we check", "3"),
    (r"\boxed{1} then \boxed{2}", "2"),
    (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
    (r"\boxed{\left\{1, \{2\}\right\}}", r"\left\{1, \{2\}\right\}"),
    (r"\boxed{\{x \mid x > 0\}}", r"\{x \mid x > 0\}"),
    (r"\fbox{$7$}", "7"),
    (r"\boxed {8}", "8"),
    (r"\boxed{\boxed{9}}", "9"),
    (r"stray } and { before \boxed{5}", "5"),
    (r"\boxed{5} and an open \boxed{6", "5"),
    (r"\boxed{ \text{even} }", r"\text{even}"),
    (r"a line break \\{2} in \boxed{\\{2}}", r"\\{2}"),
    (r"The answer is \boxed{0.5}.", "0.5"),
    ("The answer is 5.", "5"),
    ("the answer is: 3.25", "3.25"),
    ("So the answer is **12**.", "12"),
    ("The answer is $x = 5$.", "x = 5"),
    ("The answer is $2$ apples.", "2"),
    ("The answer is $x=2$ or $x=3$.", "$x=2$ or $x=3$"),
    ("The final answer is 17. I hope it is correct.", "17"),
    ("Final answer: 9", "9"),
    ("**Final Answer:** 9", "9"),
    ("## Final Answer\n\n**Final Answer:**\n$$\\frac{1}{3}$$\nThat is all.", r"\frac{1}{3}"),
    ("Final answer: \\(10\\)", "10"),
    ("The answer is \\[\n  (0, 1)\n\\]", "(0, 1)"),
    ("Answer: B", "B"),
    ("**Answer**: B", "B"),
    ("The answer is 1. Wait. The answer is 2.", "2"),
    ("THE ANSWER IS 6", "6"),
    ("The correct answer is (C).", "(C)"),
    ("the answer is -3", "-3"),
]

NOT_STATED = [
    "",
    "   \n",
    "Step 1: compute 3^2",
    "x = 4",
    r"\boxed{}",
    r"\boxed{  }",
    r"The answer is \boxed{}.",
    r"\boxed{3",
    r"The answer is \boxed{3",
    r"The final answer is: $\boxed{\frac{1}{2",
    "The answer is",
    "The answer is .",
    "Is this the answer? 5",
    "In the answer 5 appears.",
    "My answer: maybe",
    r"\boxed{$$}",
]


@pytest.mark.parametrize(("response", "answer"), STATED)
def test_stated_answer_is_extracted(response: str, answer: str) -> None:
    assert extract_answer(response) == answer


@pytest.mark.parametrize("response", NOT_STATED)
def test_what_states_no_answer_has_none(response: str) -> None:
    assert extract_answer(response) is None


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("Step 1: compute 3^2", "2"),
        ("we get 1,234.5 in all.", "1,234.5"),
        ("x1 is -7/8", "-7/8"),
        ("there is none", None),
        (r"\boxed{3} and 4", "3"),
        (r"\boxed{} and 4", "4"),
    ],
)
def test_last_number_is_read_only_on_request(response: str, answer: str | None) -> None:
    assert extract_answer_or_last_number(response) == answer


def test_too_long_is_no_answer() -> None:
    assert extract_answer(r"\boxed{" + "1" * LONGEST_ANSWER + "}") == "1" * LONGEST_ANSWER
    assert extract_answer(r"\boxed{" + "1" * (LONGEST_ANSWER + 1) + "}") is None


@pytest.mark.parametrize(
    "unit",
    [
        r"\boxed{",
        r"\boxed{}",
        r"\boxed ",
        "{",
        "}",
        "\\",
        "$",
        " ",
        "\n",
        "#",
        "*",
        "the ",
        "the answer is ",
        "final " + " " * 50,
        "answer: ",
        "1",
        "1,111",
        "-1.1/",
        ".",
        ". ",
        "9,",
    ],
)
def test_megabyte_of_anything_takes_linear_time(unit: str) -> None:
    # CPU of this thread, and far above what is needed: quadratic scans take minutes.
    text = (unit * (1_000_000 // len(unit) + 1))[:1_000_000]
    begun = time.thread_time()
    extract_answer(text)
    extract_answer("the answer is " + text)
    extract_answer_or_last_number(text)
    assert time.thread_time() - begun < 15


def test_depth_of_braces_is_not_limited_by_the_stack() -> None:
    depth = 10 * sys.getrecursionlimit()
    assert extract_answer(r"\boxed{" * depth + "5" + "}" * depth) == "5"


PIECES = st.lists(
    st.sampled_from([r"\boxed{", r"\fbox{", r"\{", r"\}", "The answer is ", "Final answer:"])
    | st.sampled_from("{}$5. *x\n\\"),
    max_size=30,
).map("".join)


@given(PIECES | st.text())
def test_answer_is_bare_and_part_of_the_response(response: str) -> None:
    answer = extract_answer(response)
    if answer is not None:
        assert answer in response
        assert answer == answer.strip() != ""


@given(PIECES | st.text(), st.integers())
def test_last_balanced_box_wins_over_all_before_it(before: str, number: int) -> None:
    # An odd run of backslashes before the box would escape its command.
    response = f"{before.rstrip(chr(92))} \\boxed{{{number}}} and so on"
    assert extract_answer(response) == str(number)


@given(
    st.recursive(
        st.sampled_from(["1", "x", r"\{", r"\}", r"\\", r"\frac", ""]),
        lambda inner: st.lists(inner.map(lambda body: "{" + body + "}") | inner, max_size=4).map(
            "".join
        ),
    )
)
def test_balanced_content_survives(content: str) -> None:
    wanted = content.strip() or None
    assert extract_answer(f"text \\boxed{{{content}}} text") == wanted
