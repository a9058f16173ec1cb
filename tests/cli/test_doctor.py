"""`tts doctor`: what works, what is missing, and what would get it."""

import json
import re
import tomllib
from pathlib import Path

from tts.cli import checks

ROOT = Path(__file__).parents[2]


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
    assert "pip install -e '.[imaginary]' in a checkout of tts" in outcome.out
    assert "Searches can run." in outcome.out


def test_an_engine_that_is_not_there_is_named(tts):
    outcome = tts("doctor", "--policy", "nowhere")
    assert outcome.code == 4
    assert "unknown backend 'nowhere'" in " ".join(outcome.out.split())
    assert "Searches cannot run: policy nowhere." in outcome.out


def test_every_extra_that_something_here_imports_is_looked_for(tts):
    whole = json.loads(tts("doctor", "--policy", "fake", "--json").out)
    extras = {check["name"] for check in whole["checks"] if check["name"].startswith("extra ")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = set(project["optional-dependencies"]) - {"dev", "hf", "train"}
    assert extras == {f"extra {name}" for name in declared}


def test_no_command_asks_an_index_for_what_is_on_none():
    texts = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    for package in ("tts", "strategies", "verifiers", "nano", "benchmarks"):
        texts += (ROOT / package).rglob("*.py")
    assert not [path for path in texts if re.search(r"install[^\n]*ttsearch", path.read_text())]


def test_a_verifier_is_not_blamed_for_a_policy_that_is_not_there(tts):
    outcome = tts("doctor", "--policy", "nowhere", "--verifier", "likelihood", "--json")
    states = {check["name"]: check["state"] for check in json.loads(outcome.out)["checks"]}
    assert outcome.code == 4
    assert states["policy nowhere"] == "failed"
    assert states["verifier likelihood"] == "ok"


def test_a_verifier_that_runs_code_is_opened_first(tts):
    outcome = tts("doctor", "--verifier", "genprm-nano", "--json")
    checks = {check["name"]: check for check in json.loads(outcome.out)["checks"]}
    assert checks["verifier genprm-nano"]["state"] == "ok", checks["verifier genprm-nano"]
    assert outcome.code == 0
