"""Taking code out of critiques, and running it for real."""

import pytest

from tts.errors import SandboxError
from tts.sandbox.compat import TIMED_OUT, render
from tts.sandbox.config import SandboxConfig
from tts.sandbox.outcome import Outcome, Status
from tts_verifiers.genprm.code import executed_blocks, told
from tts_verifiers.genprm.sandbox import SandboxRunner


def critique(*blocks: tuple[str, str]) -> str:
    turns = (f"```python\n{code}\n```\n{render(Outcome(Status.OK, out))}" for code, out in blocks)
    return "<analyze>\nx\n</analyze>\n<verify>\n" + "so:\n".join(turns) + "</verify>\n"


def test_executed_blocks_come_in_order_without_those_that_timed_out() -> None:
    text = critique(("a = 1", "1"), ("while True: pass", TIMED_OUT), ("print(a)", "1\n2"))
    assert executed_blocks(text) == ["a = 1", "print(a)"]


def test_code_that_was_not_run_is_no_past() -> None:
    assert executed_blocks("```python\na = 1\n```\nand so on") == []
    assert executed_blocks("nothing") == []


def test_what_is_told_is_what_the_authors_executor_said() -> None:
    ok, error = Outcome(Status.OK, "\n 6 \n"), Outcome(Status.ERROR, "lost", error="E: m")
    assert told(ok, 99) == "[Code Output]\n\n```\n6\n```\n"
    assert told(error, 99) == "[Code Output]\n\n```\nCode execute Error: E: m\n```\n"
    assert told(None, 99) == "[Code Output]\n\n```\nCode format error: No code found.\n```\n"
    timeout = "Code execute time out: Code execution timed out"
    assert told(Outcome(Status.TIMEOUT), 99) == f"[Code Output]\n\n```\n{timeout}\n```\n"


@pytest.mark.anyio
@pytest.mark.filterwarnings("ignore:sandbox tier:RuntimeWarning")
async def test_code_runs_after_its_past_in_the_sandbox() -> None:
    config = SandboxConfig("unsafe", image=(), module_name="builtins", deadline_seconds=2)
    async with SandboxRunner(config) as runner:
        seen = await runner.run("print(x + 1)", ("x = 41", "raise ValueError"))
        assert seen.stdout == "42\n"
        unseen = await runner.run("print(x + 1)", ())
        assert "Code execute Error: NameError: name 'x' is not defined" in told(unseen, 200)
        for code in ("while True: pass", "import os; os.abort()", "exit(3)", "print('9' * 10**7)"):
            assert len(told(await runner.run(code, ()), 100)) < 200
    with pytest.raises(SandboxError, match="not open"):
        await runner.run("1", ())
