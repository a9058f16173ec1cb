"""Problem families that a tiny model can solve step by step, with exact labels for every step.

`generate` draws a problem, `solution` writes a right solution, `label` says which steps of any
solution are right. Each family is one module of this package, and every step in it does one local
operation and writes the whole problem again: the kind of reasoning tiny models learn.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tts_nano.problems import equations, reduction, words
from tts_nano.problems.claims import DELIMITER, Claim, answer_of, claim
from tts_nano.problems.draft import Draft
from tts_nano.problems.draw import Difficulty
from tts_nano.problems.heldout import Split, split_of

__all__ = [
    "DELIMITER",
    "FAMILIES",
    "LEVELS",
    "MIDDLE",
    "Claim",
    "Difficulty",
    "NanoProblem",
    "Split",
    "answer_of",
    "claim",
    "draw_problem",
    "generate",
    "label",
    "problem_of",
    "solution",
]


@dataclass(frozen=True, slots=True)
class NanoProblem:
    """A problem as posed, and its answer."""

    id: str
    """`family-level-split-seed`, such as `reduction-3-test-00017`; names the problem for ever."""
    family: str
    level: int
    prompt: str
    answer: str
    """A positive integer in decimal."""


@dataclass(frozen=True, slots=True)
class _Family:
    levels: tuple[tuple[Difficulty, ...], ...]
    propose: Callable[[Difficulty, random.Random], Draft]
    solution: Callable[[str, random.Random], list[str]]
    follows: Callable[[str, str | None, Claim], bool]


_FAMILIES: Final = {
    "reduction": _Family(
        reduction.LEVELS, reduction.propose, reduction.solution, reduction.follows
    ),
    "words": _Family(words.LEVELS, words.propose, words.solution, words.follows),
    "equations": _Family(
        equations.LEVELS, equations.propose, equations.solution, equations.follows
    ),
}

FAMILIES: Final = tuple(_FAMILIES)
"""The names of the families."""
LEVELS: Final = tuple(range(1, 8))
"""Levels of difficulty, the same count in every family; 1 is the easiest."""
MIDDLE: Final = 4
"""The level at which the shipped policy solves about half of the problems at temperature 1."""

_ID: Final = re.compile(r"([a-z]+)-([0-9]+)-(train|dev|test)-([0-9]+)")


def generate(family: str, level: int, seed: int, split: Split) -> NanoProblem:
    """The problem with this seed (>= 0) of a split; the same arguments give the same problem.

    Problems of different splits never coincide. Within a split two seeds can give the same problem,
    which happens at level 1. Raises `ValueError` for an unknown family, level or split.
    """
    if level not in LEVELS or split not in ("train", "dev", "test") or seed < 0:
        raise ValueError(f"no level {level} (have {LEVELS}), split {split!r} or seed {seed}")
    known = _family(family)
    name = f"{family}-{level}-{split}-{seed:05d}"
    rng = random.Random(name)
    difficulties = known.levels[level - 1]
    draft = draw_problem(family, difficulties[rng.randrange(len(difficulties))], split, rng)
    return NanoProblem(name, family, level, draft.prompt, str(draft.answer))


def problem_of(name: str) -> NanoProblem:
    """The problem with this id. Raises `ValueError` when it is not an id of a problem."""
    match = _ID.fullmatch(name)
    if match is None:
        raise ValueError(f"not the id of a nano problem: {name!r}")
    family, level, split, seed = match.groups()
    known: dict[str, Split] = {"train": "train", "dev": "dev", "test": "test"}
    return generate(family, int(level), int(seed), known[split])


def draw_problem(family: str, difficulty: Difficulty, split: Split, rng: random.Random) -> Draft:
    """A random problem of a split at any difficulty, on a level or not."""
    known = _family(family)
    while True:
        draft = known.propose(difficulty, rng)
        if split_of(draft.prompt, draft.templates, draft.operations) == split:
            return draft


def solution(problem: NanoProblem, rng: random.Random) -> list[str]:
    """The steps of a right solution; `rng` decides the order of operations where it is free."""
    return _family(problem.family).solution(problem.prompt, rng)


def label(problem: NanoProblem, steps: Sequence[str]) -> list[bool]:
    """For every step, whether it and all steps before it are right.

    A step is right when its arithmetic is true and what it rewrites the problem to is worth the
    same as before; the answer step when it gives the answer, and when it is the first such step.
    Text that is no step is wrong. Never raises on account of `steps`.
    """
    follows = _family(problem.family).follows
    labels: list[bool] = []
    right, before = True, None
    for step in steps:
        found = claim(step)
        right = right and found is not None and follows(problem.prompt, before, found)
        labels.append(right)
        # Nothing follows from an unreadable step, nor from an answer.
        before = "" if found is None or found.kind == "answer" else found.state
    return labels


def _family(name: str) -> _Family:
    if name not in _FAMILIES:
        raise ValueError(f"no family {name!r}; there are {', '.join(FAMILIES)}")
    return _FAMILIES[name]
