"""Log: a search's events as JSON lines, written as they happen, read back for replay.

The first line says the format's version: `{"event": "log", "version": 1}`. Every other line is one
event, `{"event": "added", "key": [0], "step": {...}}`, under its class's name in lower case.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO, get_args

from tts.errors import ConfigError
from tts.events import Event

VERSION = 1
_EVENTS = {event.__name__.lower(): event for event in get_args(Event)}


class LogWriter:
    """Appends events to a file; a listener for `Engine.solve(on_event=...)`. A context manager."""

    def __init__(self, path: Path) -> None:
        """Raises:
        ConfigError: `path` cannot be written.
        """
        try:
            self._file: TextIO = path.open("w", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot write events to {path}: {error.strerror}") from None
        self._write({"event": "log", "version": VERSION})

    def __call__(self, event: Event) -> None:
        self._write(encode(event))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")


def read(path: Path) -> Iterator[Event]:
    """The events of a log, as far as it goes: a last line that was cut off is left out.

    Raises:
        ConfigError: `path` cannot be read, or is not a log of a version that is known.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read events from {path}: {error}") from None
    whole = lines[:-1]  # what follows the last line break was never finished
    if not whole or _parse(path, 1, whole[0]) != {"event": "log", "version": VERSION}:
        raise ConfigError(f"{path} is not an event log of version {VERSION}")
    for number, line in enumerate(whole[1:], 2):
        yield decode(_parse(path, number, line))


def encode(event: Event) -> dict[str, Any]:
    """`event` in the types of JSON."""
    plain = _plain(event)
    assert isinstance(plain, dict)
    return {"event": type(event).__name__.lower(), **plain}


def decode(line: dict[str, Any]) -> Event:
    """The event that `encode` made `line` of.

    Raises:
        ConfigError: there is no such event.
    """
    from pydantic import TypeAdapter, ValidationError

    facts = dict(line)
    kind = facts.pop("event", None)
    if kind not in _EVENTS:
        raise ConfigError(f"unknown event {kind!r}")
    try:
        event: Event = TypeAdapter(_EVENTS[kind]).validate_python(facts)
    except ValidationError as error:
        raise ConfigError(f"not a {kind!r} event: {error.errors()[0]['msg']}") from None
    return event


def _plain(value: object) -> object:
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value


def _parse(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        parsed = json.loads(line)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise ConfigError(f"{path}, line {number}: not an event")
    return parsed
