"""`tts demo`: four strategies, one budget, and no failure hidden."""

import json

from tts.backends import fake

FAKE = ("demo", "--policy", "fake", "--budget", "2k", "--verifier", "likelihood")


def test_strategies_are_compared_at_the_same_budget(tts):
    whole = json.loads(tts(*FAKE, "--json").out)
    assert whole["schema"] == "tts.demo/1"
    assert [run["name"] for run in whole["runs"]] == [
        "majority vote", "weighted vote", "beam search", "scheduler",
    ]  # fmt: skip
    assert all(run["spend"]["total"]["tokens"] <= 2000 for run in whole["runs"])
    assert {run["problem"]["id"] for run in whole["runs"]} == {"reduction-4-dev-00000"}


def test_wrong_answers_are_shown_and_have_a_code(tts):
    outcome = tts(*FAKE)  # the fake engine knows no arithmetic
    assert outcome.code == 3
    assert outcome.out.count("wrong") == 4
    assert "Next" in outcome.out


def test_a_right_answer_is_success_and_its_steps_are_shown(tts, monkeypatch):
    def knows(text: str, seed: int) -> str:
        return "A step\n\nThe answer is \\boxed{4987}."

    monkeypatch.setattr(fake, "open_fake", lambda location: fake.FakeBackend(knows))
    outcome = tts(*FAKE)
    assert outcome.code == 0
    assert outcome.out.count("right") == 4
    assert "How scheduler got there" in outcome.out


def test_family_level_and_number_choose_the_problem(tts):
    whole = json.loads(
        tts(*FAKE, "--family", "words", "--level", "2", "--number", "5", "--json").out
    )
    assert whole["runs"][0]["problem"]["id"] == "words-2-dev-00005"
    assert "--example words-2-5" in whole["runs"][0]["search"]["command"]
