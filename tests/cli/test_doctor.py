"""`tts doctor`: what works, what is missing, and what would get it."""

import json

from tts.cli import checks


def test_a_working_engine_and_verifier_are_success(tts):
    outcome = tts("doctor", "--policy", "fake", "--verifier", "likelihood", "--json")
    whole = json.loads(outcome.out)
    states = {check["name"]: check["state"] for check in whole["checks"]}
    assert outcome.code == 0
    assert whole["ok"] is True
    for name in ("python", "answers", "strategies", "policy fake", "verifier likelihood"):
        assert states[name] == "ok"


def test_a_missing_extra_comes_with_its_command_and_is_no_failure(tts, monkeypatch):
    monkeypatch.setattr(checks, "EXTRAS", {"imaginary": ("no_such_module",)})
    outcome = tts("doctor", "--policy", "fake")
    assert outcome.code == 0
    assert "pip install 'ttsearch[imaginary]'" in outcome.out
    assert "Searches can run." in outcome.out


def test_an_engine_that_is_not_there_is_named(tts):
    outcome = tts("doctor", "--policy", "nowhere")
    assert outcome.code == 4
    assert "unknown backend 'nowhere'" in " ".join(outcome.out.split())
    assert "Searches cannot run: policy nowhere." in outcome.out
