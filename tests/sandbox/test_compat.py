"""GenPRM's strings, byte for byte."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.sandbox import Outcome, Status, compat


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (Outcome(Status.OK, " 42\n\n"), "42"),
        (Outcome(Status.OK, ""), ""),
        (None, "Code format error: No code found."),
        (Outcome(Status.TIMEOUT, "so far"), "Code execute time out: Code execution timed out"),
        (
            Outcome(Status.ERROR, "printed before", error="ZeroDivisionError: division by zero"),
            "Code execute Error: ZeroDivisionError: division by zero",
        ),
        (Outcome(Status.ERROR, error="ValueError: "), "Code execute Error: ValueError: "),
        (
            Outcome(Status.KILLED, error="killed by SIGSEGV"),
            "Code execute Error: RuntimeError: killed by SIGSEGV",
        ),
        (Outcome(Status.OK, "abc", truncated=True), "abc\n... (output truncated)"),
        (Outcome(Status.OK, "{braces} %s"), "{braces} %s"),
    ],
)
def test_output_as_the_model_was_trained_to_read_it(outcome: Outcome | None, text: str) -> None:
    assert compat.code_output(outcome) == text
    assert compat.render(outcome) == f"[Code Output]\n\n```\n{text}\n```\n"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("```python\nprint(1)\n```", "print(1)"),
        ("```python\na\n```\nwords\n```python\n\n  b\n\n```\n", "b"),
        ("```python\nopen", None),
        ("no code", None),
        ("```\nplain\n```", None),
        ("```python x ```", "x"),
    ],
)
def test_the_last_fenced_block_runs(text: str, code: str | None) -> None:
    assert compat.last_block(text) == code


@given(
    st.lists(
        st.sampled_from(
            ["`", "```", "```python", "python", " ", "\n", "\t", "\x1c", "\u00a0", "x", "é"]
        )
    ).map("".join)
)
def test_block_is_the_one_that_the_authors_expression_finds(text: str) -> None:
    found = re.findall(r"```python\s*(.*?)\s*```", text, re.DOTALL)
    assert compat.last_block(text) == (found[-1] if found else None)


def test_endless_space_takes_no_time() -> None:
    assert compat.last_block(("```python" + " " * 100_000) * 10) == ""
    assert compat.last_block("```python " * 200_000) == ""
    assert compat.last_block("```python" + " " * 1_000_000) is None


@pytest.mark.anyio
async def test_rendered_from_a_real_run(pool) -> None:
    outcome = await pool.run("print('lost')\n1 + 1\nraise KeyError('k')")
    assert (
        compat.render(outcome) == "[Code Output]\n\n```\nCode execute Error: KeyError: 'k'\n```\n"
    )
    assert compat.code_output(await pool.run("1 + 1")) == ""
