"""The recipe's programs run, and its template spells the profile's markup."""

import asyncio
import json
import re
from pathlib import Path

from tts.types import Problem
from tts_verifiers.genprm.profiles import CARD
from tts_verifiers.synthesis import read_solutions

TEXT = (Path(__file__).parents[2] / "docs" / "training-genprm.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_the_sampling_program_writes_what_label_reads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    problems = [{"id": str(i), "prompt": f"What is {i}?", "answer": "2"} for i in range(3)]
    Path("problems.jsonl").write_text("\n".join(map(json.dumps, problems)))
    exec(PROGRAMS[0].replace('"nano"', '"fake"'), {})
    solutions = read_solutions(Path("solutions.jsonl").read_text().splitlines())
    assert {solution.problem.id for solution in solutions} == {"0", "1", "2"}
    ends = ["{2}" in solution.steps[-1] for solution in solutions]
    assert ends.count(True) >= 3
    assert ends.count(False) >= 3
    assert all(len(solution.steps) > 1 for solution in solutions)


def test_the_teacher_in_the_recipe_is_one():
    names = {}
    exec(PROGRAMS[1], names)
    rationale = asyncio.run(names["judge"](Problem("p", "q"), ["a", "b"], 0))
    assert len(rationale.passages) == 2


def test_the_training_program_is_python():
    compile(PROGRAMS[2], "recipe", "exec")
    assert len(PROGRAMS) == 3


def test_the_template_spells_the_markup_of_the_profile():
    (template,) = re.findall(r"^```jinja\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert f"'{CARD.markup.user_open}'" in template
    assert f"'{CARD.markup.assistant_open}'" in template
    assert CARD.system in TEXT
