"""The problem: from the command line, a file, stdin, or the family of examples."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from tts.errors import ConfigError, unknown
from tts.types import Problem

LONGEST: Final = 1_000_000
"""Bytes of a problem; no model has room for more, so that nobody waits for it to be read."""

DEFAULT_EXAMPLE: Final = "reduction"


@dataclass(frozen=True, slots=True)
class Posed:
    """A problem, and the words of a command line that pose it again."""

    problem: Problem
    words: tuple[str, ...]


def pose(text: str | None, file: Path | None, example: str | None) -> Posed:
    """The problem from the one place where it is given; stdin if it is in none and not a terminal.

    Raises:
        ConfigError: no problem, more than one, or one that is not text.
    """
    if sum(given is not None for given in (text, file, example)) > 1:
        raise ConfigError("give the problem once: as text, with --file or with --example")
    if example is not None:
        return _example(example)
    if file is not None:
        asked = _decoded(_read(file), str(file))
        return Posed(_problem(asked), ("--file", str(file)))
    if text is None and sys.stdin is not None and sys.stdin.isatty():
        raise ConfigError(
            "no problem: give it as text, with --file PATH, with --example, or on stdin"
        )
    if text in (None, "-"):
        if sys.stdin is None:
            raise ConfigError("no problem: there is no stdin to read it from")
        text = _decoded(sys.stdin.buffer.read(LONGEST + 1), "stdin")
    return Posed(_problem(text or ""), ("--", text) if (text or "").startswith("-") else (text,))


def draw_example(family: str, level: int | None = None, number: int = 0) -> Problem:
    """The `number`-th example (from 0) of a family at a level, with its answer.

    No model has been trained on examples: they are of the split `dev`.

    Raises:
        ConfigError: there is no such family or level, or no examples are installed.
    """
    problems = _nano_problems()
    if family not in problems.FAMILIES:
        raise unknown("family of examples", family, problems.FAMILIES)
    level = problems.MIDDLE if level is None else level
    if level not in problems.LEVELS:
        lowest, highest = problems.LEVELS[0], problems.LEVELS[-1]
        raise ConfigError(f"{family} has no level {level}; levels are {lowest} to {highest}")
    drawn = problems.generate(family, level, number, "dev")
    return Problem(drawn.id, drawn.prompt, drawn.answer)


def example_names() -> list[str]:
    """`family` and `family-level`, for the shell's completion; none if none are installed."""
    try:
        problems = _nano_problems()
    except ConfigError:
        return []
    return [
        name
        for family in problems.FAMILIES
        for name in (family, *(f"{family}-{level}" for level in problems.LEVELS))
    ]


def _example(name: str) -> Posed:
    family, *numbers = (name or DEFAULT_EXAMPLE).split("-")
    if len(numbers) > 2 or not all(number.isdecimal() for number in numbers):
        raise ConfigError(
            f"{name!r} is not an example; write FAMILY, FAMILY-LEVEL or FAMILY-LEVEL-NUMBER"
        )
    problem = draw_example(family, *map(int, numbers))
    return Posed(problem, ("--example", name or DEFAULT_EXAMPLE))


def _nano_problems() -> Any:
    # By name: the engine's package must not depend on a model's.
    try:
        return import_module("tts_nano.problems")
    except ImportError as error:
        raise ConfigError(f"the examples are not installed ({error})") from None


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(LONGEST + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from None


def _decoded(content: bytes, source: str) -> str:
    if len(content) > LONGEST:
        raise ConfigError(f"the problem in {source} is longer than {LONGEST:,} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{source} is not UTF-8 text (byte {content[error.start]:#04x} at {error.start})"
        ) from None
    if "\0" in text:
        raise ConfigError(f"{source} is not text: it contains a zero byte")
    return text.strip()


def _problem(text: str) -> Problem:
    if not text.strip():
        raise ConfigError("the problem is empty")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ConfigError("the problem is not valid Unicode text") from None
    if size > LONGEST:
        raise ConfigError(f"the problem is longer than {LONGEST:,} bytes")
    # The id that the Python API gives to a bare text, so that the same seed means the same search.
    return Problem("problem", text)
