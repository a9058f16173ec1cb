"""`tts plan` and `tts up --dry-run`: what they print of models that come along or are known."""

import json
import re
import shlex
import shutil
import socket
import sys
import tempfile
from pathlib import Path

import pytest

from tts.cli import plan, up
from tts.registry import load

NANO = [
    "--policy", "nano", "--verifier", "nano", "--device", "cpu:8", "--problems", "4",
    "--length", "prompt=40", "--length", "step=35", "--length", "depth=6",
    "--length", "question=60", "--length", "vote=60",
]  # fmt: skip
LARGE = ["--policy", "Qwen2.5-Math-7B", "--verifier", "GenPRM-7B"]


PAGE = Path(__file__).parents[2] / "docs" / "servers.md"
SHOWN = "\n".join([plan.EPILOG, up.EPILOG, PAGE.read_text(encoding="utf-8")]).replace("\\\n", "")


@pytest.mark.parametrize("line", re.findall(r"^ *(tts (?:plan|up) .*)", SHOWN, re.MULTILINE))
def test_what_help_and_documentation_show_can_be_planned(tts, tmp_path, line):
    folder = tmp_path / "a model and an adapter"
    folder.mkdir()
    shutil.copy(load("models", "nano")("policy") / "config.json", folder)
    (folder / "adapter_config.json").write_text('{"r": 16}')
    words = [re.sub(r"(^|=)/.*", rf"\1{folder}", word) for word in shlex.split(line)[1:]]
    if words[0] == "up":
        words += ["--dry-run", "--logs", str(tmp_path)]
    outcome = tts(*words)
    assert (outcome.code, outcome.err) == (0, "")


def test_a_plan_that_fits_says_who_gets_what(tts):
    text = tts("plan", *LARGE, "--device", "h100", "--votes", "4", "--usd-per-hour", "3.6")
    assert (text.code, text.err) == (0, "")
    assert "GenPRM/GenPRM-7B, 7.62 G parameters, bfloat16" in text.out
    assert "57,344 bytes" in text.out
    assert "USD a problem" in text.out
    options = (*LARGE, "--device", "h100", "--votes", "4", "--usd-per-hour", "3.6", "--json")
    whole = json.loads(tts("plan", *options).out)
    assert whole["schema"] == "tts.plan/1"
    assert whole["fits"]
    assert whole["work"]["votes"] == 4
    parts = ("weight_bytes", "workspace_bytes", "cache_bytes")
    used = sum(server[part] for server in whole["servers"] for part in parts)
    assert used + whole["device"]["free_bytes"] == whole["device"]["memory_bytes"] == 80 * 10**9
    bound = whole["bound"]
    assert bound["usd_per_problem"] == pytest.approx(bound["device_seconds_per_problem"] / 1000)


def test_what_does_not_fit_says_how_much_is_missing_and_what_would(tts):
    text = tts("plan", *LARGE, "--device", "a10")
    assert text.code == 2
    assert "DOES NOT FIT" in text.out
    assert "smaller weights: fp8" in text.out
    whole = json.loads(tts("plan", *LARGE, "--device", "a10", "--json").out)
    assert whole["missing_bytes"] > 0
    assert whole["bound"] is whole["live_problems"] is None
    up = tts("up", *LARGE, "--device", "a10", "--dry-run")
    assert (up.code, up.out) == (2, "")
    assert "GiB are missing on a10; would fit: smaller weights: fp8" in up.err


def test_without_a_verifier_nothing_is_judged_and_one_server_has_it_all(tts):
    options = ("--policy", "Llama-3.2-3B", "--device", "a10", "--strategy", "best_of_n:n=8")
    whole = json.loads(tts("plan", *options, "--json").out)
    assert (whole["work"]["steps"], whole["work"]["judged"]) == (64, 0)
    assert [server["name"] for server in whole["servers"]] == ["policy"]
    assert "judged" not in tts("plan", *options).out


def test_nothing_is_said_of_a_speed_that_is_not_known(tts):
    outcome = tts("plan", *NANO)
    assert outcome.code == 0
    assert "nothing is said of it" in outcome.out
    assert "nano:verifier, 2.25 M parameters, float32" in outcome.out


def test_a_strategy_that_costs_what_it_chooses_is_refused(tts, tmp_path):
    table = tmp_path / "table.json"
    table.write_text(json.dumps([{
        "strategy": "beam:n=8", "budget": "tokens=2000", "agreement from": 0.0,
        "agreement to": 1.0, "accuracy": {"mean": 0.5},
    }]))  # fmt: skip
    outcome = tts("plan", *LARGE, "--device", "h100", "--strategy", f"table:path={table}")
    assert (outcome.code, outcome.out) == (2, "")
    assert "such as the dearest of those that it chooses from" in outcome.err


def test_a_verifier_that_scores_writes_no_votes(tts):
    options = ("--policy", "Llama-3.2-1B", "--verifier", "Qwen2.5-Math-PRM-7B", "--device", "l40s")
    whole = json.loads(tts("plan", *options, "--json").out)
    assert whole["lengths"]["vote"] == 0
    assert whole["servers"][1]["models"][0]["tokens_per_problem"]["output"] == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--device", "h100"), "say which model writes"),
        (("--device", "h100", "--policy", "nano"), "'beam' decides by verdicts: add --verifier"),
        ((*LARGE, "--device", "h1000"), "did you mean 'h100'"),
        ((*LARGE, "--device", "h100", "--strategy", "bean"), "did you mean 'beam'"),
        ((*LARGE, "--device", "h100", "--length", "stride=3"), "'stride'"),
        ((*LARGE, "--device", "h100", "--length", "step=x"), "step='x'"),
        ((*LARGE, "--device", "h100", "--engine", "llama"), "sglang, vllm"),
        ((*LARGE, "--device", "h100", "--workspace", "nan"), "'--workspace': 'nan': must be"),
        ((*LARGE, "--device", "h100", "--workspace", "inf"), "'inf': must be less than or equal"),
        ((*LARGE, "--device", "h100", "--base", "nano", "--lora", "policy=/"), "leave --policy"),
        (("--base", "nano", "--device", "h100"), "--base and --lora belong together"),
        (("--policy", "nano:nobody", "--device", "h100"), "'nobody'"),
        ((*LARGE, "--device", "h100", "--strategy", "voi", "--votes", "1"), "by its knobs: votes"),
    ],
)
def test_what_cannot_be_planned_is_named(tts, options, said):
    for command in (("plan",), ("up", "--dry-run")):
        outcome = tts(*command, *options)
        assert (outcome.code, outcome.out) == (2, "")
        assert said in outcome.err


def test_no_price_is_infinite(tts):
    outcome = tts("plan", *LARGE, "--device", "h100", "--usd-per-hour", "inf", "--json")
    assert (outcome.code, outcome.out) == (2, "")
    assert "'--usd-per-hour': 'inf': must be less than or equal to" in outcome.err


def test_a_search_that_is_too_long_for_a_model_names_lengths_that_are_not(tts):
    options = ("plan", "--policy", "nano", "--verifier", "nano", "--device", "cpu:8")
    outcome = tts(*options)
    assert (outcome.code, outcome.out) == (2, "")
    assert "context of 2,048 tokens, and a path of this search takes 3,616" in outcome.err
    advised = re.findall(r"--length \w+=\d+", outcome.err)
    assert len(advised) == 2
    for advice in advised:
        assert tts(*options, *advice.split()).code == 0


@pytest.mark.parametrize("engine", ["sglang", "vllm"])
def test_a_dry_run_prints_the_commands_and_the_line_that_uses_them(tts, engine, tmp_path):
    ports = ("--port", "policy=4321", "--port", "verifier=4322")
    options = (*NANO, "--engine", engine, "--votes", "3", "--logs", str(tmp_path), *ports)
    outcome = tts("up", "--dry-run", *options)
    assert (outcome.code, outcome.err) == (0, "")
    commands = [shlex.split(line) for line in outcome.out.splitlines() if " -m " in line]
    assert len(commands) == 2
    assert all(sys.executable in words for words in commands)
    assert ["4321" in words for words in commands] == [True, False]
    line = shlex.split(outcome.out.splitlines()[-1])
    assert line[line.index("--policy") + 1] == f"{engine}:http://127.0.0.1:4321,patience=600"
    assert line[line.index("--verifier") + 1] == (
        f"genprm-nano:backend=[{engine}:http://127.0.0.1:4322,patience=600],votes=3"
    )
    whole = json.loads(tts("up", "--dry-run", "--json", *options).out)
    assert whole["schema"] == "tts.up/1"
    assert [server["url"] for server in whole["servers"]] == [
        "http://127.0.0.1:4321", "http://127.0.0.1:4322",
    ]  # fmt: skip
    assert [*whole["solve"], "PROBLEM"] == line
    assert whole["plan"]["fits"]


def test_a_judge_is_told_its_engine_with_its_knobs(tts, tmp_path):
    options = ("--judge", "genprm-7b:mode=code", "--logs", str(tmp_path))
    outcome = tts("up", "--dry-run", *LARGE, "--device", "h100", *options)
    assert "--verifier 'genprm-7b:backend=[sglang:http://" in outcome.out
    assert "mode=[code]' --strategy beam PROBLEM" in outcome.out
    wrong = tts(
        "up", "--dry-run", *LARGE, "--device", "h100", "--judge", "likelihood",
        "--logs", str(tmp_path),
    )  # fmt: skip
    assert (wrong.code, wrong.out) == (2, "")
    assert "likelihood: this verifier takes no engine" in wrong.err


def test_an_engine_that_is_not_there_says_how_to_get_it(tts, tmp_path):
    outcome = tts("up", *NANO, "--logs", str(tmp_path), "--python", sys.executable)
    assert (outcome.code, outcome.out) == (4, "")
    assert "sglang is not installed" in outcome.err
    assert "pip install -e '.[sglang]' in a checkout of tts" in outcome.err
    nothing = tts("up", *NANO, "--logs", str(tmp_path), "--python", "/no/python")
    assert nothing.code == 2
    assert "--python /no/python" in nothing.err


def test_a_port_that_is_taken_is_named(tts, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        outcome = tts("up", *NANO, "--logs", str(tmp_path), "--port", f"verifier={port}")
    assert outcome.code == 2
    assert f"port {port} for the verifier: Address already in use" in outcome.err
    unknown = tts("up", *NANO, "--dry-run", "--logs", str(tmp_path), "--port", "judge=1")
    assert "--port judge: there is no such server (policy, verifier)" in unknown.err


def test_a_dry_run_leaves_no_empty_folder_behind(tts, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert tts("up", "--dry-run", *LARGE, "--device", "h100").code == 0
    assert not list(tmp_path.iterdir())
