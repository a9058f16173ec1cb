"""Logs: what was told can be read back, and grows the same tree."""

from pathlib import Path

import pytest

from tts.errors import ConfigError
from tts.events import replay
from tts.log import LogWriter, decode, encode, read
from tts.testing import Bench
from tts.testing.bench import shape
from tts_strategies.beam import Beam


def test_every_event_survives_json() -> None:
    result = Bench().solve(Beam(n=4, width=2))
    assert [decode(encode(event)) for event in result.events] == list(result.events)
    assert len({type(event) for event in result.events}) == 6


def test_a_log_replays_to_the_same_tree(tmp_path: Path) -> None:
    result = Bench().solve(Beam(n=4, width=2))
    with LogWriter(tmp_path / "log") as log:
        for event in result.events:
            log(event)
    assert shape(replay(read(tmp_path / "log"))) == shape(result.tree)


def test_a_log_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    result = Bench().solve(Beam(n=4, width=2))
    path = tmp_path / "log"
    with LogWriter(path) as log:
        for event in result.events:
            log(event)
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    events = list(read(path))
    assert events == list(result.events[: len(events)])
    assert events


@pytest.mark.parametrize("content", ["", "{}\n", "no json\n", '{"event": "log", "version": 99}\n'])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "log"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"log|not an event"):
        list(read(path))


def test_a_log_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot write events"):
        LogWriter(tmp_path / "missing" / "log")
