"""Servers that are down are named, by every command that needs them."""

import json

NOBODY = "http://127.0.0.1:9"
NOR_HERE = "http://127.0.0.1:10"


def test_a_search_names_the_server_that_is_down(tts):
    outcome = tts("solve", "hello", "--policy", f"vllm:{NOBODY}")
    assert (outcome.code, outcome.out) == (4, "")
    assert outcome.err == f"error: {NOBODY}: cannot be reached: Connection refused\n"


def test_doctor_names_all_servers_that_are_down(tts):
    outcome = tts(
        "doctor", "--json",
        "--policy", f"sglang:{NOBODY},{NOR_HERE}",
        "--verifier", f"genprm-nano:backend=[vllm:{NOR_HERE},at_once=2]",
    )  # fmt: skip
    assert outcome.code == 4
    checks = {check["name"]: check for check in json.loads(outcome.out)["checks"]}
    (policy,) = [check for name, check in checks.items() if name.startswith("policy ")]
    (verifier,) = [check for name, check in checks.items() if name.startswith("verifier ")]
    assert policy["state"] == verifier["state"] == "failed"
    assert NOBODY in policy["detail"]
    assert NOR_HERE in policy["detail"]
    assert verifier["detail"] == f"{NOR_HERE}: cannot be reached: Connection refused"


def test_backends_are_listed_with_their_knobs(tts):
    listed = json.loads(tts("backends", "--json").out)["backends"]
    knobs = {entry["name"]: [knob["name"] for knob in entry["knobs"]] for entry in listed}
    assert {"http", "https", "nano", "openai", "sglang", "vllm"} <= set(knobs)
    assert knobs["nano"] == []
    assert {"tokenizer", "at_once", "patience"} <= set(knobs["vllm"])
    assert "addresses" not in knobs["vllm"]
