"""ProcessBench: the protocol, on verifiers whose every word is known."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tts.errors import ConfigError, Lost
from tts.function import FunctionVerifier
from tts.types import FREE
from tts_benchmarks.processbench import (
    Finding,
    Item,
    best_threshold,
    examine,
    examine_all,
    read,
    rows,
    scores,
)

pytestmark = pytest.mark.anyio

ITEMS = [
    Item(id="a", problem="?", steps=("fine", "wrong", "fine"), label=1, subset="x"),
    Item(id="b", problem="?", steps=("fine", "fine"), label=-1, subset="x"),
    Item(id="c", problem="?", steps=("wrong",), label=0, subset="y"),
    Item(id="d", problem="?", steps=("fine", "odd", "wrong"), label=-1, subset="y"),
]


class Reader:
    """Calls `wrong` wrong, abstains on `odd`, and remembers how far it read."""

    def __init__(self) -> None:
        self.longest: dict[str, int] = {}

    async def __call__(self, prompt: str, steps: Sequence[str]) -> list[float | None]:
        key = "/".join(steps)
        self.longest[key] = len(steps)
        opinions = {"fine": 0.9, "wrong": 0.1, "odd": None}
        return [opinions[step] for step in steps]


async def test_the_first_wrong_step_is_found_and_nothing_after_it_is_read() -> None:
    reader = Reader()
    finding = await examine(FunctionVerifier(reader), ITEMS[0], seed=0)
    assert finding.first_error() == 1
    assert max(reader.longest.values()) == 2


async def test_a_right_solution_is_read_to_the_end() -> None:
    finding = await examine(FunctionVerifier(Reader()), ITEMS[1], seed=0)
    assert finding.first_error() == -1
    assert len(finding.judgements) == 2


async def test_an_abstention_is_no_verdict_even_if_a_later_step_is_called_wrong() -> None:
    assert (await examine(FunctionVerifier(Reader()), ITEMS[3], seed=0)).first_error() is None


async def test_without_a_limit_every_step_is_scored_and_any_threshold_can_be_tried() -> None:
    finding = await examine(FunctionVerifier(Reader()), ITEMS[0], seed=0, until=0.0)
    assert finding.scores == (0.9, 0.1, 0.9)
    assert [finding.first_error(each) for each in (0.05, 0.1, 0.5, 0.95)] == [-1, -1, 1, 0]


def test_the_threshold_with_the_highest_f1_is_chosen() -> None:
    shy = [(0.97, 0.8), (0.96, 0.97), (0.85,), (0.97, 0.97, 0.97)]  # nothing is below 1/2
    findings = [Finding(scores, (), FREE) for scores in shy]
    assert best_threshold(ITEMS, findings) == 0.9
    assert {name: each.f1.mean for name, each in scores(ITEMS, findings, 0.9).items()} == {
        "x": 1.0,
        "y": 1.0,
    }


async def test_a_verdict_that_died_with_its_engine_is_asked_for_again() -> None:
    reader, dead = Reader(), [Lost("gone"), Lost("gone again")]

    async def dying(prompt: str, steps: Sequence[str]) -> list[float | None]:
        if dead and len(steps) == 2:
            raise dead.pop()
        return await reader(prompt, steps)

    finding = await examine(FunctionVerifier(dying), ITEMS[0], seed=0)
    assert (finding.first_error(), dead) == (1, [])


async def test_the_longest_are_begun_first_and_findings_keep_their_order() -> None:
    begun: list[int] = []

    async def score(prompt: str, steps: Sequence[str]) -> list[float | None]:
        begun.append(int(prompt))
        return [0.9] * len(steps)

    items = [
        Item(id=str(length), problem=str(length), steps=("fine",) * length, label=-1)
        for length in (1, 3, 2)
    ]
    findings = await examine_all(FunctionVerifier(score), items, at_once=1)
    assert list(dict.fromkeys(begun)) == [3, 2, 1]
    assert [len(finding.scores) for finding in findings] == [1, 3, 2]


async def test_scores_are_worked_out_by_subset() -> None:
    findings = await examine_all(FunctionVerifier(Reader()), ITEMS)
    found = scores(ITEMS, findings)
    assert (found["x"].f1.mean, found["y"].f1.mean) == (1.0, 0.0)
    table = rows("reader", ITEMS, findings)
    assert [row[1] for row in table] == ["x", "y", "average"]
    assert table[-1][4] == 0.5


@pytest.mark.parametrize("as_array", [True, False])
async def test_the_released_format_is_read(tmp_path: Path, as_array: bool) -> None:
    row = {
        "id": "gsm8k-0",
        "generator": "Qwen2-7B-Instruct",
        "problem": "Sue lives in a fun neighborhood.",
        "steps": ["To find out", "Next"],
        "final_answer_correct": False,
        "label": 1,
    }
    path = tmp_path / "gsm8k.json"
    path.write_text(json.dumps([row]) if as_array else json.dumps(row) + "\n")
    (item,) = read(path)
    assert (item.subset, item.label, len(item.steps)) == ("gsm8k", 1, 2)


async def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('[{"id": 3}]')
    with pytest.raises(ConfigError, match="no ProcessBench item"):
        read(path)
