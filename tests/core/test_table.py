"""The table of a study: read, chosen from, and followed by a search."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tts.budget.budget import Budget
from tts.budget.table import Entry, Table, agreement
from tts.errors import ConfigError
from tts.events import Decided, StopReason
from tts.testing import Bench
from tts_benchmarks.nano_table import NanoTable
from tts_strategies.by_law import ByLaw
from tts_strategies.by_table import ByTable

ROW = {
    "strategy": "best_of_n:n=4",
    "budget": "tokens=2k",
    "agreement from": 0.0,
    "agreement to": 0.5,
    "accuracy": {"mean": 0.5},
}


def entry(name: str, budget: float, least: float, most: float, accuracy: float) -> Entry:
    return Entry(name, "tokens", budget, least, most, accuracy)


TABLE = Table(
    (
        entry("a", 1000, 0.0, 0.5, 0.3),
        entry("b", 1000, 0.0, 0.5, 0.4),
        entry("a", 1000, 0.5, 1.0, 0.9),
        entry("b", 1000, 0.5, 1.0, 0.8),
        entry("c", 4000, 0.75, 1.0, 0.95),
        entry("d", 4000, 0.0, 0.25, 0.5),
    )
)


@pytest.mark.parametrize(
    ("limits", "agreed", "chosen"),
    [
        ({"tokens": 1000}, 0.1, "b"),
        ({"tokens": 3999}, 0.9, "a"),
        ({"tokens": 4000}, 0.9, "c"),
        ({"tokens": 4000}, 0.45, "d"),  # the nearest bin, where none holds it
        ({"tokens": 100}, 0.9, "a"),  # the smallest budget there is
        ({"seconds": 3}, 0.9, "c"),  # no limit in the table's unit: the largest
        ({}, 0.0, "d"),
        ({"tokens": 1000}, 0.5, "a"),  # where bins meet, the better
    ],
)
def test_the_best_of_the_bin_at_the_budget_is_chosen(
    limits: dict[str, float], agreed: float, chosen: str
) -> None:
    assert TABLE.choose(limits, agreed).strategy == chosen


@pytest.mark.parametrize(
    ("labels", "share"),
    [([0, 0, 1, None], 0.5), ([None, None], 0.0), ([], 0.0), ([2, 2], 1.0), ([0, 1, 2], 1 / 3)],
)
def test_agreement_is_the_share_of_the_most_frequent_answer(
    labels: list[int | None], share: float
) -> None:
    assert agreement(labels) == share


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([], "not a list of rows"),
        ({}, "not a list of rows"),
        ([{**ROW, "budget": "eur=3"}], "row 1: not a row of a table: unknown unit"),
        ([{**ROW, "budget": "tokens=1,calls=2"}], "row 1: not a row"),
        ([ROW, {**ROW, "accuracy": 0.5}], "row 2: not a row"),
        ([{**ROW, "agreement to": 2}], "row 1: not a row"),
        ([{"arm": "x"}], "row 1: not a row"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, rows: object, complaint: str) -> None:
    path = tmp_path / "table.json"
    path.write_text(json.dumps(rows))
    with pytest.raises(ConfigError, match=complaint):
        Table.load(str(path))


def test_a_table_that_is_not_there_or_no_json_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the table"):
        ByTable(path=str(tmp_path / "none.json"))
    (tmp_path / "x").write_text("{")
    with pytest.raises(ConfigError, match="is not JSON"):
        ByTable(path=str(tmp_path / "x"))


def decisions(strategy: object, budget: Budget | None = None, **bench: object) -> list[Decided]:
    result = Bench(**bench).solve(strategy, budget)  # type: ignore[arg-type]
    assert result.stop_reason is StopReason.DONE
    return [event for event in result.events if isinstance(event, Decided)]


TABLE_FILE = str(Path(__file__).parents[1] / "strategies/table.json")


def test_samples_that_agree_lead_to_one_strategy_and_others_to_another() -> None:
    easy = decisions(ByTable(TABLE_FILE), script=lambda text, seed: "\\boxed{1}")
    hard = decisions(
        ByTable(TABLE_FILE), script=lambda text, seed: "a\n\n" * (not text) + f"\\boxed{{{seed}}}"
    )
    assert [each.action for each in easy] == ["best_of_n:n=5"]
    assert [each.action for each in hard] == ["beam:n=4,width=2"]
    assert "as 1.00 do here" in easy[0].reason


def test_a_known_difficulty_needs_no_samples() -> None:
    result = Bench().solve(ByTable(TABLE_FILE, agreement=0.9))
    assert len(result.candidates) == 5
    assert len(Bench().solve(ByTable(TABLE_FILE, pilot=4)).candidates) >= 4 + 4


def test_a_strategy_that_needs_a_verifier_is_not_followed_without_one() -> None:
    with pytest.raises(ExceptionGroup) as raised:
        Bench(verifier=None).solve(ByTable(TABLE_FILE, agreement=0.1))
    (error,) = raised.value.exceptions
    assert "beam:n=4,width=2 decides by verdicts" in str(error)


@pytest.mark.anyio
async def test_what_a_study_finds_is_a_table(tmp_path: Path) -> None:
    study = NanoTable(
        arms="best_of_n:n=6 beam:n=4,width=2",
        budgets="tokens=600 tokens=1200",
        problems=3,
        levels="2",
        families="reduction",
        policy="fake",
        verifier="likelihood",
    )
    report = await study.run(lambda doing, share: None)
    path = tmp_path / "table.json"
    path.write_text(json.dumps(report.data()))
    table = Table.load(str(path))
    assert {each.strategy for each in table.entries} == set(study.arms.split())
    assert {each.budget for each in table.entries} == {600, 1200}
    result = Bench().solve(ByTable(str(path)), Budget(tokens=1300))
    assert result.answer is not None


# ------------------------------------------------------------------------------------------ by law
def test_the_law_is_fed_with_what_a_sample_and_a_vote_were_seen_to_cost() -> None:
    def chosen(tokens: int, verifier_tokens: int) -> str:
        from tts.testing.bench import Opinions

        bench = {"verifier": Opinions(tokens=verifier_tokens), "delay": None}
        (decided,) = [
            event
            for event in Bench(**bench).solve(ByLaw(at_most=99), Budget(tokens=tokens)).events  # type: ignore[arg-type]
            if isinstance(event, Decided)
        ]
        return decided.action

    def numbers(action: str) -> tuple[int, int]:
        samples, _, votes, _ = action.split()
        return int(samples), int(votes)

    (few, few_votes), (many, many_votes) = (numbers(chosen(t, 10)) for t in (1_000, 20_000))
    assert few < many
    assert few_votes < many_votes
    assert numbers(chosen(20_000, 40))[0] < many  # dearer votes leave fewer samples


def test_without_a_limit_the_law_has_as_many_samples_to_share_out_as_is_allowed() -> None:
    (decided,) = decisions(ByLaw(at_most=8), Budget(seconds=1e6), delay=None)
    assert decided.reason.startswith("8.0 samples' worth")
