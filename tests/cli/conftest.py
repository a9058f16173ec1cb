"""Running commands: in this process where it can be, in a real one where it must be."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tts.cli import run


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


class Stdin:
    """Piped, or a terminal at which nobody types."""

    def __init__(self, content: bytes, *, terminal: bool) -> None:
        self.buffer = io.BytesIO(content)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.fixture
def tts(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """`tts("solve", ...)` in this process; without a terminal unless `stdin` is None."""
    monkeypatch.delenv("TTS_DEBUG", raising=False)

    def command(*words: str, stdin: bytes | None = b"") -> Outcome:
        monkeypatch.setattr(sys, "stdin", Stdin(stdin or b"", terminal=stdin is None))
        code = run(words)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return command
