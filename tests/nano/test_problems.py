"""The problem families: exact labels, stable ids, disjoint splits, and no text that breaks them."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts_nano.problems import (
    DELIMITER,
    FAMILIES,
    LEVELS,
    Difficulty,
    NanoProblem,
    answer_of,
    claim,
    draw_problem,
    generate,
    label,
    problem_of,
    solution,
)
from tts_nano.problems.expression import Binary, Expression, read, show, value

REDUCTION = NanoProblem("", "reduction", 0, "Evaluate (37 + 48) * 3 - 59 * 4.", "19")
WORDS = NanoProblem(
    "",
    "words",
    0,
    "Take the sum of 37 and 48, multiply by 3, subtract the product of 59 and 4.",
    "19",
)
EQUATION = NanoProblem("", "equations", 0, "Solve (3 * x + 14) * 2 - 5 = 95.", "12")

RIGHT = {
    "reduction": [
        "37 + 48 = 85, so 85 * 3 - 59 * 4.",
        "85 * 3 = 255, so 255 - 59 * 4.",
        "59 * 4 = 236, so 255 - 236.",
        "255 - 236 = 19, so 19.",
        "The answer is \\boxed{19}.",
    ],
    "words": ["The expression is (37 + 48) * 3 - 59 * 4."],
    "equations": [
        "Add 5: 95 + 5 = 100, so (3 * x + 14) * 2 = 100.",
        "Divide by 2: 100 / 2 = 50, so 3 * x + 14 = 50.",
        "Subtract 14: 50 - 14 = 36, so 3 * x = 36.",
        "Divide by 3: 36 / 3 = 12, so x = 12.",
        "The answer is \\boxed{12}.",
    ],
}
RIGHT["words"] += RIGHT["reduction"]
PROBLEMS = {"reduction": REDUCTION, "words": WORDS, "equations": EQUATION}

expressions: st.SearchStrategy[Expression] = st.recursive(
    st.one_of(st.integers(0, 9999), st.just("x")),
    lambda inner: st.builds(Binary, st.sampled_from(["+", "-", "*", "/"]), inner, inner),
    max_leaves=12,
)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("split", ["train", "dev"])
def test_every_written_solution_is_right_in_every_step(family, level, split):
    for seed in range(12):
        problem = generate(family, level, seed, split)
        steps = solution(problem, random.Random(seed))
        assert label(problem, steps) == [True] * len(steps)
        assert answer_of(DELIMITER.join(steps)) == problem.answer


@pytest.mark.parametrize("family", FAMILIES)
def test_the_examples_of_the_documentation_are_right(family):
    assert label(PROBLEMS[family], RIGHT[family]) == [True] * len(RIGHT[family])


@pytest.mark.parametrize("family", FAMILIES)
def test_any_wrong_number_makes_its_step_and_all_later_ones_wrong(family):
    rng = random.Random(7)
    for seed in range(40):
        problem = generate(family, 4, seed, "train")
        steps = solution(problem, rng)
        at = rng.randrange(len(steps))
        changed = rng.choice([i for i, sign in enumerate(steps[at]) if sign.isdigit()])
        wrong = str((int(steps[at][changed]) + rng.randint(1, 8)) % 9 + 1)
        if wrong == steps[at][changed]:
            continue
        steps[at] = steps[at][:changed] + wrong + steps[at][changed + 1 :]
        assert label(problem, steps)[at:] == [False] * (len(steps) - at), steps[at]


@pytest.mark.parametrize(
    ("problem", "step"),
    [
        (REDUCTION, "37 + 48 = 86, so 86 * 3 - 59 * 4."),
        (REDUCTION, "37 + 48 = 85, so 85 * 3 - 59 * 5."),
        (REDUCTION, "37 + 48 = 85, so 85 * 3."),
        (REDUCTION, "37 + 47 = 85, so 85 * 3 - 59 * 4."),
        (REDUCTION, "37 + 48 = 85, so x * 3 - 59 * 4."),
        (REDUCTION, "The answer is \\boxed{20}."),
        (REDUCTION, "The expression is (37 + 48) * 3 - 59 * 4."),
        (WORDS, "The expression is 37 + 48 * 3 - 59 * 4."),
        (WORDS, "The expression is (37 + 48) * 3 - 59 + 4."),
        (WORDS, "The expression is 19."),
        (WORDS, "The expression is 20 - 1."),
        (EQUATION, "Add 5: 95 + 5 = 101, so (3 * x + 14) * 2 = 101."),
        (EQUATION, "Add 6: 95 + 5 = 100, so (3 * x + 14) * 2 = 100."),
        (EQUATION, "Subtract 5: 95 - 5 = 90, so (3 * x + 14) * 2 = 90."),
        (EQUATION, "Add 5: 95 + 5 = 100, so (3 * x + 15) * 2 = 100."),
        (EQUATION, "Add 5: 95 + 5 = 100, so x * x = 144."),
        (EQUATION, "Add 5: 95 + 5 = 100, so x = x."),
        (EQUATION, "Add 5: 95 + 5 = 100, so 100."),
        (EQUATION, "Divide by 0: 95 / 0 = 100, so x = 12."),
    ],
)
def test_a_planted_slip_is_wrong(problem, step):
    assert label(problem, [step]) == [False]


def test_a_translation_may_reorder_what_commutes():
    assert label(WORDS, ["The expression is 3 * (48 + 37) - 59 * 4."]) == [True]


def test_a_different_order_of_operations_is_right():
    steps = ["59 * 4 = 236, so (37 + 48) * 3 - 236.", "37 + 48 = 85, so 85 * 3 - 236."]
    assert label(REDUCTION, steps) == [True, True]


def test_nothing_follows_the_answer():
    assert label(REDUCTION, [*RIGHT["reduction"], RIGHT["reduction"][-1]])[-1] is False


def test_consistent_steps_after_a_wrong_one_are_wrong():
    steps = ["37 + 48 = 86, so 86 * 3 - 59 * 4.", "86 * 3 = 258, so 258 - 59 * 4."]
    assert label(REDUCTION, steps) == [False, False]


@given(st.lists(st.text(max_size=60), max_size=4))
def test_no_text_breaks_the_labels(steps):
    for problem in PROBLEMS.values():
        assert label(problem, steps) == [False] * len(steps)


@given(st.sampled_from(FAMILIES), st.integers(0, 4), st.data())
def test_no_edit_of_a_right_step_breaks_the_labels(family, index, data):
    steps = list(RIGHT[family])
    start = data.draw(st.integers(0, len(steps[index])))
    end = data.draw(st.integers(start, len(steps[index])))
    insert = data.draw(st.text("0123456789+-*/()=x .,:{}\\", max_size=8))
    steps[index] = steps[index][:start] + insert + steps[index][end:]
    assert len(label(PROBLEMS[family], steps)) == len(steps)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000,
        "-" * 5000 + "1",
        "9" * 5000,
        "1" + "*9" * 5000,
        "7 * " * 90 + "7",
        "(" * 199 + "1",
    ],
)
def test_huge_text_is_wrong_and_quick(text):
    problem = REDUCTION
    assert label(problem, [f"The expression is {text}.", f"1 + 1 = 2, so {text}."]) == [False] * 2
    assert (
        label(problem, [f"{text} + 1 = 2, so 19.", f"The answer is \\boxed{{{text}}}."])[0] is False
    )


@given(expressions)
def test_an_expression_reads_back_as_it_was_written(tree):
    text = show(tree)
    if len(text) <= 400:
        assert read(text) == tree


@given(expressions)
@settings(max_examples=5 * settings().max_examples)
def test_values_agree_with_python(tree):
    text = show(tree)
    if "x" in text or "/" in text or len(text) > 400:
        return
    assert value(tree) == eval(text, {})  # text is our own arithmetic


@pytest.mark.parametrize("text", ["", "1 +", "1 2", "07", "2 ** 3", "1 // 2", "y", "1)", "()", "٣"])
def test_what_is_no_expression_reads_as_none(text):
    assert read(text) is None


def test_division_by_zero_has_no_value():
    assert value(read("1 / (2 - 2)")) is None


def test_a_claim_exposes_its_pieces():
    found = claim("Divide by 3: 36 / 3 = 12, so x = 12.")
    assert found is not None
    assert (found.kind, found.move, found.left, found.right, found.operator, found.state) == (
        "inversion", "Divide by 3", "36 / 3", "12", "/", "x = 12",
    )  # fmt: skip
    assert found.arithmetic_holds()


def test_the_last_boxed_integer_is_the_answer():
    assert answer_of("\\boxed{1} or \\boxed{019}.") == "19"
    assert answer_of("none") is None


@pytest.mark.parametrize("family", FAMILIES)
def test_an_id_names_its_problem_for_ever(family):
    problem = generate(family, 3, 17, "test")
    assert problem.id == f"{family}-3-test-00017"
    assert problem_of(problem.id) == problem == generate(family, 3, 17, "test")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("level", [1, 2, 4])
def test_splits_share_no_problem(family, level):
    prompts = {
        split: {generate(family, level, seed, split).prompt for seed in range(60)}
        for split in ("train", "dev", "test")
    }
    assert not prompts["train"] & prompts["dev"]
    assert not prompts["train"] & prompts["test"]
    assert not prompts["dev"] & prompts["test"]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_held_out_problem_has_a_template_that_training_lacks(family):
    def drafts(split):
        rng = random.Random(split)
        return [draw_problem(family, Difficulty(4, 2, 999), split, rng) for _ in range(200)]

    def templates(draft):
        return {re.sub("[0-9]+", "n", text) for text in draft.templates}

    trained = set().union(*(templates(draft) for draft in drafts("train")))
    assert all(templates(draft) - trained for split in ("dev", "test") for draft in drafts(split))


@pytest.mark.parametrize(
    ("family", "level", "split", "seed"),
    [
        ("sums", 1, "dev", 0),
        ("words", 0, "dev", 0),
        ("words", 1, "all", 0),
        ("words", 1, "dev", -1),
    ],
)
def test_unknown_arguments_are_errors(family, level, split, seed):
    with pytest.raises(ValueError, match=r"no (level|family)"):
        generate(family, level, seed, split)


@pytest.mark.parametrize("name", ["", "reduction-1-test", "reduction-99-test-00001", "a-1-dev-1"])
def test_a_wrong_id_is_an_error(name):
    with pytest.raises(ValueError, match=r"nano problem|no level|no family"):
        problem_of(name)


@pytest.mark.parametrize("prompt", ["Evaluate 1 +.", "Take 3, add .", "Solve x = x.", "Hello"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_prompt_of_no_family_is_an_error(family, prompt):
    with pytest.raises(ValueError, match=r"not? (an )?(expression|equation)"):
        solution(NanoProblem("", family, 1, prompt, "1"), random.Random(0))
