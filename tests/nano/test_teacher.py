"""The verifier's teacher: its critiques are right, and spelt as the product spells them."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "nano"))

from training.verifier import dialogue  # noqa: E402
from training.verifier.conversation import (  # noqa: E402
    Solved,
    consensus,
    critiques,
    signs,
    states,
    written,
)
from training.verifier.execute import approves, run  # noqa: E402
from training.verifier.slips import with_slip  # noqa: E402
from training.verifier.teacher import by_digits, critique  # noqa: E402
from tts_nano.backend import shipped  # noqa: E402
from tts_nano.problems import (  # noqa: E402
    FAMILIES,
    LEVELS,
    NanoProblem,
    generate,
    label,
    solution,
)
from tts_nano.problems.expression import Binary, Operator  # noqa: E402
from tts_verifiers.genprm import profiles  # noqa: E402
from tts_verifiers.prm.spelling import RLHFLOW_PROCESSBENCH  # noqa: E402


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(ROOT / "nano/tts_nano/weights/policy/tokenizer.json"))


def solutions(count: int, slips: bool) -> list[Solved]:
    rng = random.Random("teacher tests")
    found = []
    for index in range(count):
        family, level = FAMILIES[index % 3], LEVELS[index % 7]
        problem = generate(family, level, index, "train")
        steps = solution(problem, rng)
        whole = Solved(problem, tuple(steps), None)
        found.append(with_slip(problem, steps, rng) if slips else whole)
    return found


def posed(family: str, prompt: str) -> NanoProblem:
    return NanoProblem("", family, 1, prompt, "0")


def text(solved: Solved, mode: str = "code") -> str:
    exchanges = written(solved, mode, random.Random(0))  # type: ignore[arg-type]
    return "".join(piece.text for exchange in exchanges for piece in exchange)


def test_the_verdict_of_executed_code_is_the_label_but_for_few_artefacts() -> None:
    kept = [each for each in solutions(840, slips=True) if consensus(each)]
    assert len(kept) >= 0.98 * 840


def test_no_right_solution_is_called_wrong() -> None:
    assert all(consensus(each) for each in solutions(840, slips=False))


def test_where_x_is_divided_the_code_rounds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    problem = posed("equations", "Solve (x + 14) / 3 - 5 = 95.")
    found = critique(problem, None, "Add 5: 95 + 5 = 100, so (x + 14) / 3 = 100.")
    assert found.code.startswith("from fractions import Fraction\nx = Fraction(7)\nprint(")
    exec(found.code, {})
    assert capsys.readouterr().out.strip() == found.output == "True True True"


def test_the_output_of_code_is_what_python_prints(capsys: pytest.CaptureFixture[str]) -> None:
    for solved in solutions(60, slips=True):
        for each in critiques(solved):
            if "Error" in each.output:
                continue
            exec(each.code, {})
            assert capsys.readouterr().out.strip() == each.output


def test_the_analysis_works_a_value_out_before_it_names_the_wrong_one() -> None:
    problem = posed("reduction", "Evaluate 85 * 3 - 59 * 4.")
    found = critique(problem, None, "85 * 3 = 265, so 265 - 59 * 4.")
    assert found.analysis == "85 * 3: 5 * 3 = 15, 8 * 3 + 1 = 25: 255 == 265: 2 2, 5 6: False."
    assert found.code == "print(85 * 3 == 265, 85 * 3 - 59 * 4 == 265 - 59 * 4)"
    assert found.output == "False False"
    assert not found.right


@pytest.mark.parametrize(
    ("operation", "digits"),
    [
        (("+", 360, 887), "0 + 7 = 7, 6 + 8 = 14, 3 + 8 + 1 = 12: "),
        (("+", 1300, 8), "0 + 8 = 8: "),
        (("-", 815, 96), "15 - 6 = 9, 11 - 9 - 1 = 1, 8 - 1 = 7: "),
        (("*", 7, 716), "6 * 7 = 42, 1 * 7 + 4 = 11, 7 * 7 + 1 = 50: "),
        (("/", 1550, 2), "15 = 7 * 2 + 1, 15 = 7 * 2 + 1, 10 = 5 * 2: "),
        (("+", 2, 7), ""),
        (("-", 4, 25), ""),
    ],
)
def test_a_value_is_worked_out_digit_by_digit(
    operation: tuple[Operator, int, int], digits: str
) -> None:
    assert by_digits(Binary(*operation)) == digits


@given(st.sampled_from("+-*/"), st.integers(0, 9999), st.integers(1, 9999))
def test_every_place_is_a_true_statement(operator: Operator, a: int, b: int) -> None:
    if operator == "/":
        b %= 9
        a, b = a * (b + 1), b + 1
    for place in by_digits(Binary(operator, a, b)).removesuffix(": ").split(", "):
        left, _, right = place.partition(" = ")
        assert not right or eval(left) == eval(right)


def test_an_operation_that_is_not_in_the_state_is_wrong() -> None:
    found = critique(posed("reduction", "Evaluate 85 * 3."), None, "85 * 4 = 340, so 340.")
    assert found.analysis == "85 * 4 is wrong."
    assert found.output == "True False"


def test_a_translation_is_read_by_the_teacher_and_compared_by_the_code() -> None:
    problem = posed("words", "Take the sum of 37 and 48, multiply by 3.")
    found = critique(problem, None, "The expression is 37 + 48 * 3.")
    assert found.analysis == "The problem is 37 + 48, (37 + 48) * 3."
    assert found.code == "print((37 + 48) * 3 == 37 + 48 * 3)"
    assert found.output == "False"


def test_a_move_is_done_again_on_both_sides_of_the_equation() -> None:
    problem = posed("equations", "Solve (3 * x + 14) * 2 - 5 = 95.")
    found = critique(problem, None, "Add 5: 95 + 5 = 100, so (3 * x + 14) * 2 = 100.")
    assert found.analysis == (
        "Add 5: 95 + 5: 5 + 5 = 10, 9 + 1 = 10: 100 == 100: 1 1, 0 0, 0 0: True, "
        "and so (3 * x + 14) * 2 = 100."
    )
    assert found.code == (
        "x = 7\nprint(95 + 5 == 100, ((3 * x + 14) * 2 - 5) + 5 == (3 * x + 14) * 2, 95 + 5 == 100)"
    )
    assert found.output == "True True True"


def test_a_move_other_than_the_announced_one_is_wrong() -> None:
    problem = posed("equations", "Solve x + 5 = 95.")
    step = "Subtract 5: 95 - 6 = 89, so x = 89."
    assert not critique(problem, None, step).right
    assert label(problem, [step]) == [False]


@pytest.mark.parametrize(
    ("family", "prompt", "before", "answer", "output"),
    [
        ("reduction", "Evaluate 17 + 2.", "19", "19", "True"),
        ("reduction", "Evaluate 17 + 2.", "19", "91", "False"),
        ("equations", "Solve x + 5 = 17.", "x = 12", "12", "True"),
        ("equations", "Solve x + 5 = 17.", "x = 12", "17", "False"),
    ],
)
def test_an_answer_is_compared_with_the_last_state(
    family: str, prompt: str, before: str, answer: str, output: str
) -> None:
    step = f"The answer is \\boxed{{{answer}}}."
    assert critique(posed(family, prompt), before, step).output == output


@pytest.mark.parametrize("step", ["", "So it is 7.", "The answer is \\boxed{seven}."])
def test_text_that_is_no_step_is_refused(step: str) -> None:
    found = critique(posed("reduction", "Evaluate 3 + 4."), None, step)
    assert found.code == "print(False)"
    assert not found.right


def test_a_deliberate_error_spoils_the_analysis_and_not_the_code() -> None:
    problem, step = posed("reduction", "Evaluate 3 + 4."), "3 + 4 = 7, so 7."
    spoilt, sound = critique(problem, None, step, error=1), critique(problem, None, step)
    assert spoilt.analysis == "3 + 4: 8 == 7: 8 7: False."
    assert (spoilt.code, spoilt.output) == (sound.code, sound.output)


def test_the_conversation_is_spelt_byte_for_byte() -> None:
    solved = Solved(posed("reduction", "Evaluate 3 + 4."), ("3 + 4 = 8, so 8.",), wrong=0)
    analysis = text(solved).split(" step by step: ")[1].split("\n</analyze>")[0]
    assert text(solved) == (
        "<|im_start|>user\nEvaluate 3 + 4.\n\n3 + 4 = 8, so 8.<|im_end|>\n"
        "<|im_start|>assistant\n<analyze>\nLet's analyze the Paragraph 1 step by step: "
        f"{analysis}\n</analyze>\n"
        "<verify>\nLet's use python code to find any potential error:\n```python\n"
        "print(3 + 4 == 8, 3 + 4 == 8)\n```\n[Code Output]\n\n```\nFalse False\n```\n</verify>\n"
        "<output>\n**Judgement**: $\\boxed{No}$\n</output>\n<|im_end|>\n"
    )
    assert text(solved, "cot").endswith(
        "3 + 4: 7 == 8: 7 8: False.\n</analyze>\n"
        "<output>\n**Judgement**: $\\boxed{No}$\n</output>\n<|im_end|>\n"
    )
    assert text(solved, "direct").endswith(
        "<|im_start|>assistant\n<output>\n**Judgement**: $\\boxed{No}$\n</output>\n<|im_end|>\n"
    )


def test_what_the_product_forces_is_what_the_teacher_wrote() -> None:
    markup = profiles.NANO.markup
    assert profiles.NANO.first.format(problem="P", step="S") in dialogue.asked("P", "S", 1)
    assert dialogue.asked("P", "S", 2) == (
        markup.user_open + "S" + markup.user_close + markup.assistant_open
    )
    assert profiles.NANO.system is None
    assert profiles.NANO.header
    assert dialogue.ANALYZE == profiles.ANALYZE
    assert dialogue.ANALYZED == "\n" + profiles.ANALYZED
    assert dialogue.VERIFY == profiles.VERIFY
    assert dialogue.FENCE == profiles.FENCE
    assert dialogue.CODE_OUTPUT == profiles.UNEXECUTED
    assert dialogue.OUTPUT_TAG == profiles.OUTPUT_TAG
    assert dialogue.OUTPUT_TAG + dialogue.VERDICT == profiles.OUTPUT + profiles.BRACE
    assert profiles.CLOSE + markup.assistant_close == dialogue.CLOSE


def test_pieces_encode_as_the_whole_does(tokenizer: Tokenizer) -> None:
    rng = random.Random(3)
    for solved in solutions(42, slips=True):
        for exchanges in (
            *(written(solved, mode, rng) for mode in ("code", "cot", "direct", "mixed")),
            signs(solved),
        ):
            pieces = [piece.text for exchange in exchanges for piece in exchange]
            ids = [id for piece in pieces for id in tokenizer.encode(piece).ids]
            assert ids == tokenizer.encode("".join(pieces)).ids


def test_verdicts_and_signs_are_single_tokens_wherever_they_stand(tokenizer: Tokenizer) -> None:
    for word in ("Yes", "No", "+", "-"):
        assert len(tokenizer.encode(word).ids) == 1
    for word in ("Yes", "No"):
        joined = tokenizer.encode(dialogue.VERDICT + word + dialogue.CLOSE).ids
        assert tokenizer.encode(word).ids[0] in joined
    assert tokenizer.encode(dialogue.FENCE).ids == [tokenizer.token_to_id("Ċ```Ċ")]


def test_the_discriminative_verifier_is_asked_as_it_was_trained() -> None:
    spelt = shipped("prm").tokenizer
    for solved in solutions(3, slips=False):
        learnt = "".join(piece.text for exchange in signs(solved) for piece in exchange)
        asked = RLHFLOW_PROCESSBENCH.prompt(spelt, solved.problem.prompt, solved.steps)
        assert spelt.encode(learnt)[: len(asked)] == asked
        assert spelt.encode(learnt)[len(asked)] == RLHFLOW_PROCESSBENCH.labels(spelt)[0]


def test_only_what_the_verifier_writes_carries_loss() -> None:
    for solved in solutions(21, slips=True):
        for exchange in written(solved, "code", random.Random(1)):
            for piece in exchange:
                read = piece.text.startswith(("<|im_start|>", "<verify>", "[Code", "**Judge"))
                assert not (read and piece.weight)
                assert (piece.text in ("Yes", "No")) == (piece.weight > 1)


def test_states_are_those_before_each_step() -> None:
    assert states(("3 + 4 = 7, so 7 + 1.", "7 + 1 = 8, so 8.", "?")) == [None, "7 + 1", "8"]


@pytest.mark.parametrize(
    ("code", "output"),
    [
        ("print(1 + 1 == 2, 2 * 2 == 5)", "True False"),
        ("x = 7\nprint(x / 7 == 1)", "True"),
        ("print(1 / 0 == 1)", "Code execute Error: ZeroDivisionError: division by zero"),
        ("import os", "Code execute Error: PermissionError: only arithmetic is run here"),
        ("print(9 ** 9 == 1)", "Code execute Error: PermissionError: only arithmetic is run here"),
        ("print().x", "Code execute Error: PermissionError: only arithmetic is run here"),
    ],
)
def test_only_arithmetic_is_run(code: str, output: str) -> None:
    assert run(code) == output
    assert approves(output) == (output == "True")
