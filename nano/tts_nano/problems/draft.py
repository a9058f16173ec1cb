"""A problem as a family proposes it, before it is known which split it belongs to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Draft:
    """A prompt, its answer and what decides whether it is held out."""

    prompt: str
    answer: int
    templates: tuple[str, ...]
    """Texts that, with their numbers left out, are the problem's templates."""
    operations: int
