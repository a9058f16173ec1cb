"""Progress: what a search's events add up to, and how it is shown."""

import io

import anyio
import pytest
from rich.console import Console

from tts.backends.fake import FakeBackend
from tts.budget.budget import Budget, Rates
from tts.cli import progress
from tts.cli.watch import Watch
from tts.engine import Engine
from tts.policy import LanguagePolicy
from tts.select import weighted
from tts.types import POLICY, VERIFIER
from tts_strategies.beam import Beam


def watched() -> tuple[Watch, object]:
    """A watch that has heard all of a search, and the search's result."""
    budget = Budget(tokens=3000, seconds=60)
    watch = Watch(budget, Rates({POLICY: 2000.0}), weighted, clock=iter(range(100)).__next__)

    async def search():
        async with Engine(LanguagePolicy(FakeBackend()), "likelihood") as engine:
            return await engine.solve("hi [b]", Beam(n=8), budget, on_event=watch.hear)

    return watch, anyio.run(search)


@pytest.fixture
def drawn():
    watch, result = watched()
    screen = io.StringIO()
    Console(file=screen, width=120).print(progress._view(watch, "beam [x]"))
    return watch, result, screen.getvalue()


def test_the_sums_are_the_ledgers(drawn):
    watch, result, _ = drawn
    assert watch.spent == result.spend.total
    assert dict(watch.costs) == dict(result.spend.costs)
    assert watch.costs[VERIFIER].calls == 0
    assert watch.working == 0
    assert watch.steps == len(result.tree)


def test_the_leader_is_the_answer_of_the_end(drawn):
    watch, result, _ = drawn
    leader = watch.leader()
    assert leader is not None
    assert leader.candidate.answer == result.answer
    assert leader.share == pytest.approx(result.confidence)


def test_the_view_shows_limits_spend_and_leader_and_takes_no_text_for_markup(drawn):
    watch, result, screen = drawn
    assert "beam [x]" in screen
    assert f"{watch.spent.tokens:,.0f} of 3,000" in screen
    assert "8 finished" in screen
    assert f"{result.answer} (" in screen


def test_where_nobody_watches_live_there_are_lines_now_and_then(capsys, monkeypatch):
    watch, _ = watched()
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.01)

    async def a_moment() -> None:
        with anyio.move_on_after(0.2):
            await progress.show(watch, "beam")

    anyio.run(a_moment)
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) >= 2
    assert "% of tokens" in lines[0]
    assert "8 finished, best " in lines[0]


def test_models_cannot_command_the_terminal():
    assert "\x1b" not in progress._short("\x1b[2J1")
    assert progress._short("x" * 200) == "x" * 59 + "…"
