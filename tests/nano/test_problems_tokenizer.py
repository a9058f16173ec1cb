"""The tokenizer of the shipped policy: exact round trips, stable tokens."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

import tts_nano.problems
from tts_nano.problems import DELIMITER, FAMILIES, generate, solution

WEIGHTS = Path(tts_nano.problems.__file__).parents[1] / "weights" / "policy"
TOKENIZER = Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))


def pieces(text):
    return [TOKENIZER.decode([each], skip_special_tokens=False) for each in ids(text)]


def ids(text):
    return TOKENIZER.encode(text).ids


@given(st.text())
def test_any_text_comes_back_unchanged(text):
    assert TOKENIZER.decode(ids(text), skip_special_tokens=False) == text


def test_every_digit_is_the_same_token_everywhere():
    single = {digit: ids(digit) for digit in "0123456789"}
    assert all(len(each) == 1 for each in single.values())
    for text in ("1234567890", "a1b2 3", "\\boxed{42}.", "(7 * 8)", "x = 9", "\n\n5"):
        expected = [single[sign][0] for sign in text if sign.isdigit()]
        found = [each for each in ids(text) if [each] in single.values()]
        assert found == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_the_step_delimiter_is_a_token_of_its_own(family):
    steps = solution(generate(family, 3, 0, "train"), random.Random(0))
    whole = ids(DELIMITER.join(steps))
    apart = [*ids(steps[0])]
    for step in steps[1:]:
        apart += ids(DELIMITER) + ids(step)
    assert whole == apart
    assert len(ids(DELIMITER)) == 1


@pytest.mark.parametrize("verdict", ["Yes", "No"])
def test_a_verdict_is_one_token_wherever_the_text_was_cut(verdict):
    forced = "<output>\n**Judgement**: $\\boxed"
    rest = f"{{{verdict}}}$\n</output>\n"
    assert ids(forced + rest) == ids(forced) + ids(rest)
    assert pieces(rest)[:2] == ["{", verdict]
    assert ids(verdict)[0] in ids(f"\\boxed{{{verdict}}}")
    assert len(ids(verdict)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "</analyze>\n", "\n```\n", "</output>\n", "[Code Output]\n\n```\n", "<verify>\n", "user\n",
        "<|im_start|>", "<|im_end|>", "<|endoftext|>", "The answer is \\boxed{", ", so ", " == ",
        "the difference between ",
    ],
)  # fmt: skip
def test_a_fixed_phrase_is_one_token(text):
    assert len(ids(text)) == 1


def test_a_word_that_begins_like_a_verdict_is_no_verdict():
    assert ids("No")[0] not in ids("Now, Noted, KNo")
