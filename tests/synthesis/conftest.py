"""A problem whose prefixes have known success rates, a teacher that knows, and the commands."""

from __future__ import annotations

import io
import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import typer

import tts.cli.app
from tts.answers import Verdict, quick_verdict
from tts.backends.fake import FakeBackend
from tts.cli import label as label_command
from tts.cli import refine as refine_command
from tts.cli import run
from tts.cli import synthesize as synthesize_command
from tts.cli import verify as verify_command
from tts.types import Problem

RIGHT, WRONG = "The answer is \\boxed{7}.", "The answer is \\boxed{8}."


def rate(text: str) -> float:
    """How often a prefix is completed to the right answer: its worst word decides."""
    if "dead" in text:
        return 0.0
    return 0.3 if "slip" in text else 0.95


def gamble(text: str, seed: int) -> str:
    """A completer's script with exactly these rates, in the long run."""
    return RIGHT if random.Random(seed).random() < rate(text) else WRONG


class Notation:
    """Compares answers by notation alone."""

    async def equal(self, left: str, right: str) -> Verdict:
        return quick_verdict(left, right) or Verdict.UNKNOWN


@dataclass
class Kit:
    """What the tests build with."""

    right: str = RIGHT
    wrong: str = WRONG
    checker: Notation = field(default_factory=Notation)
    problem: Problem = field(default_factory=lambda: Problem("p", "What is 3 + 4?", "7"))

    def gamble(self, text: str, seed: int) -> str:
        return gamble(text, seed)

    def backend(self) -> FakeBackend:
        return FakeBackend(gamble)

    def row(self, *steps: str, **more: object) -> dict[str, object]:
        return {"problem": "What is 3 + 4?", "answer": "7", "steps": list(steps), **more}


@pytest.fixture
def kit() -> Kit:
    return Kit()


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, object]:
        return json.loads(self.out)


class Stdin:
    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)

    def isatty(self) -> bool:
        return False


@pytest.fixture
def command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Run one of the four commands in this process."""
    app = typer.Typer()
    for each in (label_command, synthesize_command, verify_command, refine_command):
        name = each.__name__.rpartition(".")[2]
        app.command(epilog=each.EPILOG)(getattr(each, name))
    monkeypatch.setattr(tts.cli.app, "app", app)
    monkeypatch.delenv("TTS_DEBUG", raising=False)

    def run_command(*words: object, stdin: str = "") -> Outcome:
        monkeypatch.setattr(sys, "stdin", Stdin(stdin.encode()))
        code = run([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run_command


@pytest.fixture
def write_rows(tmp_path: Path) -> Callable[[str, Sequence[dict[str, object]]], Path]:
    def write(name: str, rows: Sequence[dict[str, object]]) -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write
