"""Engines that fail: the code is 4, and what was found until then is still shown."""

import json

import pytest

from tts.backends import fake
from tts.errors import Unavailable


@pytest.fixture
def dies_after(monkeypatch):
    """Let the fake engine die after so many requests."""

    def script(requests: int) -> None:
        served = 0

        def fault(request):
            nonlocal served
            served += 1
            return Unavailable("the server went away") if served > requests else None

        monkeypatch.setattr(
            fake,
            "open_fake",
            lambda location: fake.FakeBackend(fault=fault, delay=lambda r, s: 0.01),
        )

    return script


def test_a_dead_engine_is_one_line(tts, dies_after):
    dies_after(0)
    outcome = tts("solve", "hello", "--policy", "fake")
    assert (outcome.code, outcome.out) == (4, "")
    assert outcome.err == "error: the server went away\n"


def test_what_was_found_before_it_died_is_shown(tts, dies_after):
    dies_after(3)
    outcome = tts("solve", "hello", "--policy", "fake", "--budget", "1k", "--json")
    whole = json.loads(outcome.out)
    assert outcome.code == 4
    assert whole["stop_reason"] == "failed"
    assert whole["answer"] is not None
    assert whole["errors"] == ["the server went away"]


def test_doctor_says_which_engine_is_down(tts, dies_after):
    dies_after(0)
    outcome = tts("doctor", "--policy", "fake", "--json")
    assert outcome.code == 4
    (check,) = [c for c in json.loads(outcome.out)["checks"] if c["name"] == "policy fake"]
    assert check["state"] == "failed"
    assert check["detail"] == "the server went away"
