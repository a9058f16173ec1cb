"""Plug-ins and knobs by name: what exists is found, what does not is told apart kindly."""

import pytest

from tts.config import build, make
from tts.errors import ConfigError
from tts.registry import load, names, open_backend
from tts_strategies.beam import Beam


def test_built_ins_are_found_by_name() -> None:
    assert load("strategies", "beam") is Beam
    assert "nano" in names("backends")


def test_an_unknown_name_points_to_the_nearest_and_lists_all() -> None:
    with pytest.raises(ConfigError, match=r"unknown strategy 'beem'; did you mean 'beam'\?.*dvts"):
        load("strategies", "beem")


def test_an_unknown_backend_is_told() -> None:
    with pytest.raises(ConfigError, match="unknown backend 'nanoo'"):
        open_backend("nanoo:/somewhere")


def test_knobs_are_parsed_by_their_annotations() -> None:
    assert build("beam", Beam, {"width": "2", "n": 8}) == Beam(n=8, width=2)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"widht": 4}, "unknown knob of beam 'widht'; did you mean 'width'"),
        ({"width": "many"}, "beam: width='many'"),
        ({"width": 0}, "width=0 must be at least 1"),
        ({"needs_verifier": False}, "unknown knob"),
    ],
)
def test_knobs_that_cannot_be_used_are_named(knobs: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build("beam", Beam, knobs)


def test_a_spec_names_a_plug_in_and_its_knobs() -> None:
    assert make("strategies", "beam") == Beam()
    assert make("strategies", "beam:n=8, width=2") == Beam(n=8, width=2)


@pytest.mark.parametrize("spec", ["beam:8", "beam:n=x", "beam:depth=3", "beem:n=8"])
def test_a_spec_that_cannot_be_read_is_refused(spec: str) -> None:
    with pytest.raises(ConfigError, match=r"not a knob|n='x'|unknown"):
        make("strategies", spec)
