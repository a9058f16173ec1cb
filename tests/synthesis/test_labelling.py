"""Many solutions, one journal."""

import json
import sqlite3

import pytest

from tts.backends.fake import FakeBackend
from tts.errors import ConfigError, Unavailable
from tts.policy import LanguagePolicy
from tts_verifiers.synthesis import Completer, Journal, Rule, as_steps, label, read_solutions
from tts_verifiers.synthesis.progress import Kind, Schedule

pytestmark = pytest.mark.anyio
SETTINGS = {"what": "label"}


@pytest.fixture
def solutions(kit):
    rows = [
        kit.row("fine", "good", kit.right),
        kit.row("fine", "slip", kit.wrong, id="slipped"),
        kit.row("dead", "slip", kit.right),
    ]
    return read_solutions(map(json.dumps, rows))


def job(kit, backend, journal, solutions, **knobs):
    completer = Completer(LanguagePolicy(backend), kit.checker, schedule=Schedule(1.0), seed=1)

    def encoder(texts):
        return as_steps(texts, backend.tokenizer, backend.model.dialect)

    return label(solutions, completer, encoder, journal, **knobs)


async def test_solutions_are_labelled_in_their_order_and_counts_add_up(kit, solutions, tmp_path):
    backend = kit.backend()
    with Journal(tmp_path / "journal", SETTINGS) as journal:
        rows, summary = await job(kit, backend, journal, solutions)
    assert [row["id"] for row in rows] == ["1", "slipped", "3"]
    assert rows[0]["labels"] == [True, True, True]
    assert rows[1]["labels"][:2] == [True, False]
    assert rows[2]["labels"] == [False, False, False]
    assert rows[2]["estimates"] == [[0, 32], [0, 0], [0, 0]]
    assert rows[2]["progress"][1:] == [None, None]
    assert summary.labelled + summary.unsolved + summary.too_long == summary.solutions == 3
    assert (summary.problems, summary.resumed, summary.all_right) == (1, 0, 1)
    assert (summary.steps, summary.right_steps) == (9, sum(sum(row["labels"]) for row in rows))
    assert summary.rollouts == summary.cost.calls == backend.served == 32 + 64 + 64 + 32


async def test_what_is_done_is_not_done_again(kit, solutions, tmp_path):
    path = tmp_path / "journal"
    with Journal(path, SETTINGS) as journal:
        first = await job(kit, kit.backend(), journal, solutions[:2])
    backend = kit.backend()
    with Journal(path, SETTINGS) as journal:
        rows, summary = await job(kit, backend, journal, solutions)
    assert rows[:2] == first[0]
    assert backend.served == 32  # of the third one's first step; the problem's are known
    assert summary.resumed == 2
    with Journal(tmp_path / "fresh", SETTINGS) as journal:
        whole, _ = await job(kit, kit.backend(), journal, solutions, at_once=1)
    assert rows == whole


async def test_another_rule_costs_nothing(kit, solutions, tmp_path):
    with Journal(tmp_path / "journal", SETTINGS) as journal:
        await job(kit, kit.backend(), journal, solutions)
        backend = kit.backend()
        rows, _ = await job(kit, backend, journal, solutions, rule=Rule(Kind.HARD, 0.0))
    assert backend.served == 0
    assert rows[1]["labels"] == [True, True, False]
    assert rows[1]["rule"] == "rate > 0"


async def test_a_dead_engine_ends_the_job_and_the_journal_keeps_what_is_done(
    kit, solutions, tmp_path
):
    served = 0

    def fault(request):
        nonlocal served
        served += 1
        return Unavailable("gone") if served > 100 else None

    path = tmp_path / "journal"
    with Journal(path, SETTINGS) as journal, pytest.raises(Unavailable, match="gone"):
        await job(kit, FakeBackend(kit.gamble, fault=fault), journal, solutions, at_once=1)
    with Journal(path, SETTINGS) as journal:
        _, summary = await job(kit, kit.backend(), journal, solutions)
    assert summary.resumed == 1


async def test_a_problem_too_long_for_the_completer_is_left_out_and_counted(kit, tmp_path):
    rows = [
        kit.row("fine", kit.right),
        {**kit.row("a", "b"), "problem": "x" * 300},
        kit.row("y" * 300, kit.right),
    ]
    solutions = read_solutions(map(json.dumps, rows))
    backend = FakeBackend(kit.gamble, context_tokens=200)
    with Journal(tmp_path / "journal", SETTINGS) as journal:
        found, summary = await job(kit, backend, journal, solutions)
    assert [row["id"] for row in found] == ["1", "3"]
    assert found[1]["labels"] == [False, False]  # nothing can follow so long a step
    assert (summary.labelled, summary.too_long) == (2, 1)


async def test_without_an_answer_nothing_is_begun(kit, tmp_path):
    row = {**kit.row("a"), "answer": None}
    with Journal(tmp_path / "j", SETTINGS) as journal, pytest.raises(ConfigError, match="answer"):
        await job(kit, kit.backend(), journal, read_solutions([json.dumps(row)]))


def test_a_journal_of_other_settings_is_refused(tmp_path):
    path = tmp_path / "journal"
    Journal(path, {"seed": 0}).__exit__(None, None, None)
    with pytest.raises(ConfigError, match="seed was 0, is 1"):
        Journal(path, {"seed": 1})
    Journal(path, {"seed": 0}).__exit__(None, None, None)


def test_a_journal_belongs_to_one_process(tmp_path):
    with (
        Journal(tmp_path / "journal", {}),
        pytest.raises(ConfigError, match="another process is using it"),
    ):
        Journal(tmp_path / "journal", {})


def test_a_file_that_is_no_journal_is_left_alone(tmp_path):
    path = tmp_path / "journal"
    path.write_text("my novel\n" * 100)
    with pytest.raises(ConfigError, match="is not a journal"):
        Journal(path, {})
    assert path.read_text().startswith("my novel")


def test_a_journal_where_none_can_be(tmp_path):
    with pytest.raises(ConfigError, match="cannot use journal"):
        Journal(tmp_path / "no" / "journal", {})


def test_a_changed_item_is_noticed(tmp_path):
    with Journal(tmp_path / "journal", {}) as journal:
        journal.put("solution", "1", "abc", {"x": 1})
        assert journal.get("solution", "1", "abc") == {"x": 1}
        assert journal.get("solution", "2", "abc") is None
        with pytest.raises(ConfigError, match="not what it was"):
            journal.get("solution", "1", "xyz")


def test_items_are_on_the_disk_before_the_journal_is_closed(tmp_path):
    journal = Journal(tmp_path / "journal", {})
    journal.put("solution", "1", "abc", {"x": 1})
    copy = tmp_path / "copy"
    copy.write_bytes((tmp_path / "journal").read_bytes())
    database = sqlite3.connect(copy)
    assert database.execute("SELECT count(*) FROM items").fetchone() == (1,)
    database.close()
    journal.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["{"], "line 1: "),
        (['{"problem": "p"}'], "line 1: steps: "),
        (['{"problem": " ", "steps": ["a"]}'], "the problem is empty"),
        (['{"problem": "p", "steps": []}'], "none of them empty"),
        (['{"problem": "p", "steps": ["a", " "]}'], "none of them empty"),
        (['{"problem": "p", "steps": ["a"], "id": 2}', '{"problem": "p", "steps": ["b"]}'],
         "'2' occurs twice"),
        (['{"problem": "p", "steps": ["a"], "problem_id": 1}',
          '{"problem": "q", "steps": ["a"], "problem_id": 1}'], "another problem has id '1'"),
        ([""], "no solutions"),
    ],
)  # fmt: skip
def test_rows_that_are_no_solutions_are_named(lines, message):
    with pytest.raises(ConfigError, match=message):
        read_solutions(lines)
