"""Catalogues: what is installed, its knobs, and plug-ins that cannot be loaded."""

import json
from importlib.metadata import EntryPoint

import pytest

from tts import registry
from tts.cli.catalogue import entries


@pytest.mark.parametrize("kind", ["strategies", "verifiers", "backends"])
def test_everything_installed_is_listed_in_text_and_json(tts, kind):
    text, whole = tts(kind), json.loads(tts(kind, "--json").out)
    assert text.code == 0
    assert whole["schema"] == f"tts.{kind}/1"
    listed = [entry["name"] for entry in whole[kind]]
    assert listed == registry.names(kind)
    assert all(name in text.out for name in listed)


def test_knobs_have_types_and_defaults():
    (beam,) = [entry for entry in entries("strategies") if entry.name == "beam"]
    assert [(knob.name, knob.type, knob.default) for knob in beam.knobs] == [
        ("n", "int", "16"), ("width", "int", "4"), ("decisive", "bool", "False"),
    ]  # fmt: skip
    assert beam.about.startswith("Beam search over steps")
    (likelihood,) = [entry for entry in entries("verifiers") if entry.name == "likelihood"]
    assert likelihood.knobs[0].type == "last | min | product | mean"
    assert likelihood.knobs[0].default == "mean"
    (cascade,) = [entry for entry in entries("verifiers") if entry.name == "cascade"]
    reduction = cascade.knobs[-1]
    assert (reduction.name, reduction.default) == ("reduction", "None")
    assert reduction.type == "last | min | product | mean | None"


@pytest.mark.parametrize("kind", ["strategies", "verifiers", "backends", "benchmarks"])
def test_no_type_of_a_knob_is_the_path_of_a_class(kind):
    assert not [knob for entry in entries(kind) for knob in entry.knobs if "." in knob.type]


def test_a_plug_in_that_cannot_be_loaded_says_why_and_hides_no_other(tts, monkeypatch):
    broken = EntryPoint("broken", "no.such.module:Thing", "tts.strategies")
    points = {**registry._entry_points("strategies"), "broken": broken}
    monkeypatch.setattr(registry, "_entry_points", lambda kind: points)
    outcome = tts("strategies", "--json")
    listed = {entry["name"]: entry for entry in json.loads(outcome.out)["strategies"]}
    assert outcome.code == 0
    assert "No module named 'no'" in listed["broken"]["error"]
    assert listed["beam"]["error"] is None
