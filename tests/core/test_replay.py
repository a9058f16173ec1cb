"""Recorded samples are given again: the same search without its engine."""

from pathlib import Path

import pytest

from tts import Engine, LanguagePolicy
from tts.backends.fake import Characters, FakeBackend
from tts.backends.replay import Recorder, Replay
from tts.errors import BadReply, ConfigError
from tts.testing.bench import shape
from tts_strategies.beam import Beam
from tts_verifiers.likelihood import Likelihood

pytestmark = pytest.mark.anyio


async def test_a_recorded_search_repeats_without_its_engine(tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    engine = FakeBackend()
    async with Engine(LanguagePolicy(Recorder(engine, tape)), Likelihood()) as live:
        recorded = await live.solve("What is next?", Beam(n=8, width=2))
    replay = Replay(tape, engine.model, Characters())
    async with Engine(LanguagePolicy(replay), Likelihood()) as again:
        repeated = await again.solve("What is next?", Beam(n=8, width=2))
        assert shape(repeated.tree) == shape(recorded.tree)
        with pytest.raises(BadReply, match="no sample"):
            await again.solve("Something else?", Beam(n=8, width=2))


async def test_what_is_no_tape_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tape").write_text('{"key": "x"}\n')
    with pytest.raises(ConfigError, match="line 1: not a recorded sample"):
        Replay(tmp_path / "tape", FakeBackend().model, Characters())
