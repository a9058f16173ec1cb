"""The documentation's programs run as they stand."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_a_program_in_the_readme_prints_an_answer(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert re.match(r"\d+ ", done.stdout)


def test_a_new_strategy_is_one_file() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (source,) = re.findall(r"^```python\n(from dataclasses.*?)^```", text, re.MULTILINE | re.DOTALL)
    from tts.testing import Bench

    names: dict[str, type] = {"__name__": "two_rounds"}  # type: ignore[dict-item]
    exec(source, names)
    result = Bench().solve(names["TwoRounds"](n=4))
    assert result.answer is not None


def test_every_module_is_in_the_architecture() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    modules = [path for path in (ROOT / "tts").glob("*.py") if not path.stem.startswith("_")]
    assert not [path.name for path in modules if f"tts/{path.name}" not in text]


@pytest.mark.parametrize("room", ["tts/budget", "tts/backends"])
def test_a_room_that_is_told_file_by_file_is_told_whole(room: str) -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    (row,) = re.findall(rf"^\| `{room}/` \| (.*) \|$", text, re.MULTILINE)
    stems = {path.stem for path in (ROOT / room).glob("*.py")} - {"__init__"}
    assert not {stem for stem in stems if f"`{stem}`" not in row}
