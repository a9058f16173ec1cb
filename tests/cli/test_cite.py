"""Presets and citations: settings with their sources, and BibTeX of what a search used."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tts import Engine
from tts.backends.fake import FakeBackend
from tts.config import make
from tts.errors import ConfigError
from tts.events import Started
from tts.policy import LanguagePolicy
from tts.presets import presets
from tts.registry import names
from tts.select import SELECTORS
from tts_strategies.particles import Particles
from tts_strategies.rebase import Rebase


@pytest.mark.parametrize("name", presets())
def test_a_preset_says_where_it_is_from_and_can_be_used(name: str) -> None:
    preset = presets()[name]
    assert preset.source
    assert preset.about
    assert preset.strategy in names("strategies")
    assert preset.select is None or preset.select in SELECTORS
    assert make("strategies", name) == make("strategies", preset.strategy).__class__(
        **{knob: getattr(make("strategies", name), knob) for knob in preset.knobs}
    )


def test_no_preset_hides_a_strategy() -> None:
    assert not set(presets()) & set(names("strategies"))


def test_what_is_said_besides_a_preset_goes_before_it() -> None:
    assert make("strategies", "rebase-16") == Rebase(n=16, temperature=0.2)
    assert make("strategies", "rebase-16:n=3") == Rebase(n=3, temperature=0.2)
    with pytest.raises(ConfigError, match="unknown knob"):
        make("strategies", "rebase-16:width=3")


@pytest.mark.anyio
async def test_a_preset_brings_its_selector_and_its_temperature() -> None:
    asked: set[float] = set()

    def delay(request, seed):  # type: ignore[no-untyped-def]
        asked.add(request.sampling.temperature)
        return 0.0

    async with Engine(LanguagePolicy(FakeBackend(delay=delay)), "likelihood") as engine:
        result = await engine.solve("What is next?", "particle-filter")
        assert asked == {0.8}
        assert {node.manner.temperature for node in result.tree} == {0.8}
        started = next(event for event in result.events if isinstance(event, Started))
        assert started.strategy == repr(Particles(n=4, resample_below=1.0))
        best = max(result.candidates, key=lambda candidate: candidate.score or 0)
        assert result.best == best
    asked.clear()
    policy = LanguagePolicy(FakeBackend(delay=delay))
    async with Engine(policy, "likelihood", temperature=0.3) as engine:
        await engine.solve("What is next?", "particle-filter")
    assert asked == {0.3}


def test_solve_takes_a_preset_with_knobs_and_repeats_it(tts, tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    words = ("--policy", "fake", "--strategy", "rebase-16", "--verifier", "likelihood", "-n", "5")
    outcome = tts("solve", "What?", *words, "--temperature", "0.5", "--out", str(out), "--quiet")
    assert outcome.code == 0, outcome.err
    search = json.loads(out.read_text())["search"]
    assert search["strategy"] == "Rebase(n=5, temperature=0.2)"
    assert "--strategy rebase-16" in search["command"]
    assert "--temperature 0.5" in search["command"]
    cited = tts("cite", "--result", str(out))
    assert cited.code == 0
    assert re.findall(r"^@misc{(\w+),", cited.out, re.MULTILINE) == [
        "li2023making", "wu2024inference",
    ]  # fmt: skip
    assert "% verifier likelihood does not say where it is from." in cited.out


def test_presets_are_listed_with_their_sources(tts) -> None:
    text, listed = tts("presets"), json.loads(tts("presets", "--json").out)
    assert (text.code, listed["schema"]) == (0, "tts.presets/1")
    assert [preset["name"] for preset in listed["presets"]] == list(presets())
    assert all(name in text.out for name in presets())
    assert "ac937a7" in text.out


def test_each_paper_is_printed_once_with_all_that_it_is_for(tts) -> None:
    outcome = tts("cite", "beam", "lookahead", "beam", "--verifier", "genprm-nano")
    assert outcome.code == 0
    assert outcome.out.count("@misc{snell2024scaling,") == 1
    assert "% strategy beam, strategy lookahead\n@misc{snell2024" in outcome.out
    assert "@misc{zhao2025genprm," in outcome.out


def test_a_cascade_cites_what_it_is_made_of(tts) -> None:
    nested = "cascade:first=likelihood,then=[judge:backend=[vllm:http://a:1,at_once=64],votes=2]"
    assert "@misc{zheng2023judging," in tts("cite", "--verifier", nested).out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing to cite"),
        (["beem"], "did you mean 'beam'"),
        (["--select", "best-of"], "unknown selector 'best-of'; did you mean 'best'"),
        (["--result", "no.json"], "no.json is not a result"),
    ],
)
def test_what_cannot_be_cited_is_said(tts, words: list[str], message: str) -> None:
    outcome = tts("cite", *words)
    assert outcome.code == 2
    assert message in " ".join(outcome.err.split())


def test_strategies_are_listed_with_papers_and_costs(tts) -> None:
    listed = {e["name"]: e for e in json.loads(tts("strategies", "--json").out)["strategies"]}
    assert listed["lookahead"]["papers"] == ["Snell et al. 2024"]
    assert (
        listed["lookahead"]["cost"] == "at most n * (steps + 1) * depth policy calls and verdicts"
    )
    text = " ".join(tts("strategies").out.split())
    assert "Cost: n * depth policy calls and verdicts" in text
    assert "verdicts x votes x tokens of a vote" in text
