"""`tts solve`: what is printed, what is written, what is said of it."""

import json
import re
import shlex
from pathlib import Path
from typing import get_type_hints

import pytest

from tts.cli.document import ResultDocument
from tts.events import Stopped
from tts.log import read

FAKE = ("--policy", "fake")
VOI = ("--strategy", "voi", "--verifier", "likelihood", "--set", "at_most=4")


def test_answer_steps_spend_reason_and_command_are_printed(tts):
    outcome = tts("solve", "hello", *FAKE)
    assert outcome.code == 0
    assert outcome.out.startswith("Problem: hello\nAnswer: ")
    for part in ("of the vote; 16 solutions", "\\boxed{", "policy", "The strategy had done all"):
        assert part in outcome.out
    assert "Again: tts solve --policy fake --seed 0 hello" in outcome.out
    assert outcome.err == ""


def test_quiet_prints_the_answer_alone(tts):
    loud = json.loads(tts("solve", "hello", *FAKE, "--json").out)
    quiet = tts("solve", "hello", *FAKE, "--quiet")
    assert quiet.out == f"{loud['answer']}\n"
    assert quiet.err == ""


def test_json_has_exactly_the_documented_members(tts):
    whole = json.loads(tts("solve", "hello", *FAKE, "--json", "--budget", "3k").out)
    assert set(whole) == set(get_type_hints(ResultDocument))
    assert whole["schema"] == "tts.result/1"
    assert whole["search"]["budget"] == {"tokens": 3000}
    assert whole["spend"]["total"]["tokens"] <= 3000
    assert whole["correct"] is None
    texts = [step["text"] for step in whole["steps"]]
    assert "".join(texts) in [candidate["text"] for candidate in whole["candidates"]]


@pytest.mark.parametrize(
    ("words", "selector"),
    [
        ((), "majority"),
        (("--verifier", "likelihood"), "weighted"),
        (("--select", "best"), "best"),
        (VOI, "probable"),
        ((*VOI, "--select", "majority"), "majority"),
    ],
)
def test_what_chose_the_answer_is_told(tts, words, selector):
    whole = json.loads(tts("solve", "hello", *FAKE, *words, "--json").out)
    assert whole["search"]["selector"] == selector
    text = tts("solve", "hello", *FAKE, *words).out
    assert ("right with probability" in text) == (selector == "probable")
    assert ("of the vote" in text) == (selector != "probable")


def test_each_accounts_part_of_the_spend_is_told(tts):
    words = ("solve", "hello", *FAKE, "--verifier", "judge:backend=fake", "-n", "2", "--json")
    spend = json.loads(tts(*words).out)["spend"]
    assert set(spend["by_account"]) == set(spend["accounts"]) == {"policy", "verifier"}
    for unit, total in spend["total"].items():
        assert total == sum(part[unit] for part in spend["by_account"].values())


def test_the_printed_command_repeats_the_search(tts):
    words = [
        "solve", "a 'quoted' problem", *FAKE, "--strategy", "beam", "--verifier", "likelihood",
        "--set", "width=2", "--set", "verifier.reduction=min", "-n", "6", "--budget", "2k",
        "--select", "best", "--seed", "7", "--json",
    ]  # fmt: skip
    first = json.loads(tts(*words).out)
    again = shlex.split(first["search"]["command"])
    assert again[:2] == ["tts", "solve"]
    second = json.loads(tts(*again[1:], "--json").out)
    for document in (first, second):
        del document["spend"]["seconds"]
    assert second == first


def test_knobs_in_a_spec_are_knobs_that_are_set(tts):
    spec = tts("solve", "hi", *FAKE, "--strategy", "best_of_n:n=3", "--json")
    assert len(json.loads(spec.out)["candidates"]) == 3
    both = ("--strategy", "beam:n=4", "--set", "width=2", "--verifier", "likelihood:reduction=min")
    whole = json.loads(tts("solve", "hi", *FAKE, *both, "--json").out)
    assert whole["search"]["strategy"] == "Beam(n=4, width=2, decisive=False)"


def test_a_seed_changes_the_samples(tts):
    one, other = (
        json.loads(tts("solve", "hello", *FAKE, "--json", "--seed", seed).out) for seed in "01"
    )
    assert one["candidates"] != other["candidates"]


@pytest.mark.parametrize("words", [(), ("-",)])
def test_the_problem_comes_from_stdin(tts, words):
    outcome = tts("solve", *words, *FAKE, "--json", stdin="\ufeffWie groß?\n".encode())
    assert json.loads(outcome.out)["problem"]["prompt"] == "Wie groß?"


def test_a_problem_that_begins_with_a_dash_can_be_repeated(tts):
    first = json.loads(tts("solve", *FAKE, "--json", stdin=b"-3 + 5 = ?").out)
    _, solve, *words = shlex.split(first["search"]["command"])
    again = json.loads(tts(solve, "--json", *words).out)
    assert again["problem"]["prompt"] == "-3 + 5 = ?"


def test_the_problem_comes_from_a_file(tts, tmp_path: Path):
    file = tmp_path / "problem.txt"
    file.write_text("hello\n")
    whole = json.loads(tts("solve", "--file", str(file), *FAKE, "--json").out)
    assert whole["problem"]["prompt"] == "hello"
    assert str(file) in whole["search"]["command"]


@pytest.mark.parametrize(
    ("words", "id"),
    [
        (("--example",), "reduction-4-dev-00000"),
        (("--example", "words"), "words-4-dev-00000"),
        (("--example", "words-2"), "words-2-dev-00000"),
        (("--example", "equations-1-17"), "equations-1-dev-00017"),
    ],
)
def test_an_example_is_told_right_from_wrong(tts, words, id):
    whole = json.loads(tts("solve", *FAKE, "--json", *words).out)
    assert whole["problem"]["id"] == id
    assert whole["correct"] is (whole["answer"] == whole["problem"]["expected"])


def test_an_example_that_is_wrong_says_what_would_be_right(tts):
    outcome = tts("solve", *FAKE, "--example")  # the fake engine knows no arithmetic
    assert "wrong: it is 4987" in outcome.out
    assert outcome.code == 0  # answered, if wrongly


def test_out_is_the_same_document_as_json(tts, tmp_path: Path):
    file = tmp_path / "result.json"
    outcome = tts("solve", "hello", *FAKE, "--json", "--out", str(file))
    assert file.read_text() == outcome.out
    assert list(tmp_path.iterdir()) == [file]


def test_events_can_be_read_back(tts, tmp_path: Path):
    file = tmp_path / "events.jsonl"
    tts("solve", "hello", *FAKE, "--events", str(file))
    assert isinstance(list(read(file))[-1], Stopped)


def test_a_full_disk_ends_the_log_and_not_the_search(tts):
    outcome = tts("solve", "hello", *FAKE, "--events", "/dev/full")
    assert outcome.code == 0
    assert outcome.out.startswith("Problem: hello\nAnswer: ")
    assert outcome.err == ("warning: /dev/full does not hold all events: No space left on device\n")


def test_a_full_disk_loses_the_file_and_not_the_answer(tts):
    outcome = tts("solve", "hello", *FAKE, "--out", "/dev/full")
    assert outcome.code == 2
    assert outcome.out.startswith("Problem: hello\nAnswer: ")
    assert outcome.err == "error: cannot write /dev/full: No space left on device\n"


def test_nobody_waits_for_a_terminal_to_type_a_problem(tts):
    outcome = tts("solve", *FAKE, stdin=None)
    assert outcome.code == 2
    assert "no problem: give it as text" in outcome.err


def test_a_budget_too_small_for_an_answer_is_told_and_has_its_code(tts):
    outcome = tts("solve", "hello", *FAKE, "--budget", "5")
    assert outcome.code == 3
    assert outcome.out.startswith("Problem: hello\nNo answer: ")
    assert "nothing more fitted into 5 tokens" in outcome.out


def test_an_answer_that_the_budget_cut_off_is_told_so(tts):
    outcome = tts("solve", "hello", *FAKE, "--budget", "5", "-n", "1", "--json")
    whole = json.loads(outcome.out)
    assert (outcome.code, whole["stop_reason"]) == (3, "budget")
    assert whole["spend"]["total"]["tokens"] == 5


def test_quiet_without_an_answer_keeps_stdout_empty(tts):
    outcome = tts("solve", "hello", *FAKE, "--budget", "5", "-q")
    assert (outcome.code, outcome.out) == (3, "")
    assert outcome.err.startswith("no answer: ")


def test_limits_combine(tts):
    limits = ("--budget", "9k", "--samples", "4", "--flops", "1T", "--deadline", "1m")
    whole = json.loads(tts("solve", "hello", *FAKE, "--json", *limits).out)
    assert whole["search"]["budget"] == {
        "tokens": 9000, "samples": 4, "flops": 1e12, "seconds": 60,
    }  # fmt: skip
    assert whole["spend"]["total"]["samples"] <= 4
    assert whole["stop_reason"] == "budget"


def test_money_is_a_budget_and_stands_in_the_result(tts):
    priced = "fake:usd_in=10,usd_cached=2.5,usd_out=40"
    outcome = tts("solve", "x", "--policy", priced, "--budget", "usd=0.2", "--json", "--n", "999")
    whole = json.loads(outcome.out)
    assert whole["search"]["budget"] == {"usd": 0.2}
    assert whole["spend"]["wasted"]["share"] == 0.0
    assert whole["spend"]["wasted"]["total"]["usd"] == 0.0
    assert 0.15 < whole["spend"]["total"]["usd"] <= 0.2
    assert whole["stop_reason"] == "budget"
    shown = tts("solve", "x", "--policy", priced, "--budget", "usd=0.2", "--n", "999")
    assert "USD" in shown.out
    assert "nothing more fitted into $0.200" in shown.out


def test_speculation_changes_no_candidate_and_is_repeated_by_the_command(tts):
    words = ["solve", "x", "--policy", "fake", "--verifier", "likelihood", "--json"]
    words += ["--strategy", "beam:n=4,width=2"]
    plain, ahead = (json.loads(tts(*words, *more).out) for more in ([], ["--speculate", "3"]))
    assert ahead["candidates"] == plain["candidates"]
    assert "--speculate 3" in ahead["search"]["command"]


def test_files_that_would_overwrite_each_other_are_refused(tts, tmp_path: Path):
    problem = tmp_path / "problem.txt"
    problem.write_text("Evaluate 3 + 4.")
    same = str(tmp_path / "same.json")
    for words, named in (
        (("--file", str(problem), "--out", str(problem)), "--file and --out"),
        (("Evaluate 3 + 4.", "--out", same, "--events", same), "--out and --events"),
    ):
        outcome = tts("solve", *words, "--quiet")
        assert outcome.code == 2
        assert f"{named} are the same file" in outcome.err
    assert problem.read_text() == "Evaluate 3 + 4."
    assert tts("solve", "Evaluate 3 + 4.", "-q", "-n", "1", "--out", "/dev/null").code == 0


def test_solutions_without_an_answer_are_told_apart(tts):
    outcome = tts("solve", "What is the capital of France?")
    found = re.search(r"16 solutions.*, (\d+) without one", outcome.out)
    assert found is not None
    assert 0 < int(found[1]) < 16
