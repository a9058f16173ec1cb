"""Conversations to train on: every step of a solution critiqued in one of the verifier's modes.

Each piece of text carries the weight of its tokens in the loss: nothing for what the verifier
reads, one for what it writes, more for the verdict, which is one token among a hundred.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from training.verifier import dialogue
from training.verifier.teacher import READING, critique
from tts_nano.problems import NanoProblem, claim

Mode = Literal["direct", "cot", "code", "mixed"]

VERDICT_WEIGHT: Final = 5.0
DISTRUST: Final = 0.2
"""Share of the steps judged by code whose analysis is wrong, so that the code decides."""
IMAGINED: Final = 0.5
"""Share of the steps judged by code whose output the verifier also learns to imagine."""
SKIPPED: Final = (0.7, 1.0)
"""Share of the right steps whose analysis carries no loss, early and late in training. Late, every
claim beside which the verifier learns to compute is wrong, and copying it never pays. Early,
readings of problems in words always carry loss."""


@dataclass(frozen=True, slots=True)
class Solved:
    """A solution, up to and including its first wrong step."""

    problem: NanoProblem
    steps: tuple[str, ...]
    wrong: int | None
    """Index of the first wrong step, which is the last; `None` when all are right."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One step put before the verifier."""

    step: str
    state: str | None
    """What the problem was before it; `None`: as it was posed."""
    right: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """Text, and the weight of each of its tokens in the loss."""

    text: str
    weight: float


def shown(solved: Solved) -> list[Shown]:
    """The steps of a solution, one after the other."""
    before = states(solved.steps)
    return [
        Shown(step, state, index != solved.wrong)
        for index, (step, state) in enumerate(zip(solved.steps, before, strict=True))
    ]


def consensus(problem: NanoProblem, steps: Sequence[Shown]) -> bool:
    """Whether the teacher's executed code agrees with the exact label of every step.

    The consensus filter of GenPRM, sec. 3.2. What it drops are steps whose code says True and whose
    label says wrong: a translation that gives the same value by other operations, a step that
    makes no progress.
    """
    return all(critique(problem, each.state, each.step).right == each.right for each in steps)


def states(steps: Sequence[str]) -> list[str | None]:
    """For every step, the state before it; `None` before the first."""
    found = [claim(step) for step in steps[:-1]]
    return [None, *(None if each is None else each.state for each in found)]


def written(
    problem: NanoProblem,
    steps: Sequence[Shown],
    mode: Mode,
    rng: random.Random,
    *,
    late: bool = True,
) -> list[list[Piece]]:
    """The pieces of the conversation, step by step, for the early or late part of training."""
    return [
        _exchange(problem, index, each, _mode(mode, rng), rng, late)
        for index, each in enumerate(steps)
    ]


def signs(problem: NanoProblem, steps: Sequence[Shown]) -> list[list[Piece]]:
    """The conversation of the discriminative verifier: `+` or `-` after each step."""
    return [
        [
            Piece(dialogue.asked(problem.prompt, each.step, index + 1), 0.0),
            Piece("+" if each.right else "-", 1.0),
            Piece("<|im_end|>\n", 0.0),
        ]
        for index, each in enumerate(steps)
    ]


def _mode(mode: Mode, rng: random.Random) -> Mode:
    return rng.choices(("cot", "code", "direct"), (4, 5, 1))[0] if mode == "mixed" else mode


def _exchange(
    problem: NanoProblem, index: int, about: Shown, mode: Mode, rng: random.Random, late: bool
) -> list[Piece]:
    pieces = [Piece(dialogue.asked(problem.prompt, about.step, index + 1), 0.0)]
    if mode != "direct":
        distrust = mode == "code" and rng.random() < DISTRUST
        error = rng.choice((-100, -10, -2, -1, 1, 2, 10, 100)) if distrust else 0
        found = critique(problem, about.state, about.step, error)
        computed = ", and so " in found.concluded
        skipped = (distrust and computed) or (
            about.right
            and rng.random() < SKIPPED[late]
            and (computed or (late and found.opening == READING))
        )
        weight = 0.0 if skipped else 1.0
        pieces += [
            Piece(dialogue.ANALYZE.format(number=index + 1), 0.0),
            Piece(found.opening, 1.0),
            Piece(found.worked, weight),
            Piece(found.compared, 1.0),
            Piece(found.concluded, weight),
            Piece(dialogue.ANALYZED, 1.0),
        ]
        if mode == "code":
            imagined = not distrust and rng.random() < IMAGINED
            pieces += [
                Piece(dialogue.VERIFY, 0.0),
                Piece(found.code, 1.0),
                Piece(dialogue.FENCE, 1.0),
                Piece(dialogue.CODE_OUTPUT, 0.0),
                Piece(found.output, 1.0 if imagined and len(found.output) < 20 else 0.0),
                Piece(dialogue.FENCE, 1.0 if imagined else 0.0),
                Piece(dialogue.VERIFIED + dialogue.OUTPUT_TAG, 1.0),
            ]
    if mode != "code":
        pieces.append(Piece(dialogue.OUTPUT_TAG, 0.0))
    pieces += [
        Piece(dialogue.VERDICT, 0.0),
        Piece(dialogue.word(about.right), VERDICT_WEIGHT),
        Piece(dialogue.CLOSE, 0.0),
    ]
    return pieces
