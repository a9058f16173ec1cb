"""Conversations to train on: every step of a solution critiqued in one of the verifier's modes.

Each piece of text carries the weight of its tokens in the loss: nothing for what the verifier
reads, one for what it writes, more for the verdict, which is one token among a hundred.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final, Literal

from training.verifier import dialogue
from training.verifier.teacher import READING, Critique, critique
from tts_nano.problems import NanoProblem, claim

Mode = Literal["direct", "cot", "code", "mixed"]

VERDICT_WEIGHT: Final = 3.0
DISTRUST: Final = 0.2
"""Share of the steps judged by code whose analysis is wrong, so that the code decides."""
IMAGINED: Final = 0.5
"""Share of the steps judged by code whose output the verifier also learns to imagine."""
SKIPPED: Final = (0.6, 0.85)
"""Share of the right steps whose analysis carries no loss, early and late in training. Late, about
half of the claims beside which the verifier learns to compute are wrong, and copying them does not
pay. Early, readings of problems in words always carry loss."""


@dataclass(frozen=True, slots=True)
class Solved:
    """A solution, up to and including its first wrong step."""

    problem: NanoProblem
    steps: tuple[str, ...]
    wrong: int | None
    """Index of the first wrong step, which is the last; `None` when all are right."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text, and the weight of each of its tokens in the loss."""

    text: str
    weight: float


def consensus(solved: Solved) -> bool:
    """Whether the teacher's executed code agrees with the exact label of every step.

    The consensus filter of GenPRM, sec. 3.2. What it drops are steps whose code says True and whose
    label says wrong: a translation that gives the same value by other operations, a step that
    makes no progress.
    """
    return all(
        each.right == (index != solved.wrong) for index, each in enumerate(critiques(solved))
    )


def critiques(solved: Solved) -> list[Critique]:
    """The teacher's critique of every step."""
    before = states(solved.steps)
    return [
        critique(solved.problem, state, step)
        for state, step in zip(before, solved.steps, strict=True)
    ]


def states(steps: tuple[str, ...]) -> list[str | None]:
    """For every step, the state before it; `None` before the first."""
    found = [claim(step) for step in steps[:-1]]
    return [None, *(None if each is None else each.state for each in found)]


def written(
    solved: Solved, mode: Mode, rng: random.Random, *, late: bool = True
) -> list[list[Piece]]:
    """The pieces of the conversation, step by step, for the early or late part of training."""
    return [
        _exchange(solved, index, state, _mode(mode, rng), rng, late)
        for index, state in enumerate(states(solved.steps))
    ]


def signs(solved: Solved) -> list[list[Piece]]:
    """The conversation of the discriminative verifier: `+` or `-` after each step."""
    return [
        [
            Piece(dialogue.asked(solved.problem.prompt, step, index + 1), 0.0),
            Piece("-" if index == solved.wrong else "+", 1.0),
            Piece("<|im_end|>\n", 0.0),
        ]
        for index, step in enumerate(solved.steps)
    ]


def _mode(mode: Mode, rng: random.Random) -> Mode:
    return rng.choices(("cot", "code", "direct"), (4, 5, 1))[0] if mode == "mixed" else mode


def _exchange(
    solved: Solved, index: int, state: str | None, mode: Mode, rng: random.Random, late: bool
) -> list[Piece]:
    step, right = solved.steps[index], index != solved.wrong
    pieces = [Piece(dialogue.asked(solved.problem.prompt, step, index + 1), 0.0)]
    if mode != "direct":
        distrust = mode == "code" and rng.random() < DISTRUST
        error = rng.choice((-100, -10, -2, -1, 1, 2, 10, 100)) if distrust else 0
        found = critique(solved.problem, state, step, error)
        computed = " == " in found.worked
        skipped = (distrust and computed) or (
            right
            and rng.random() < SKIPPED[late]
            and (computed or (late and found.opening.startswith(READING)))
        )
        pieces += [
            Piece(dialogue.ANALYZE.format(number=index + 1), 0.0),
            Piece(found.opening, 1.0),
            Piece(found.worked, 0.0 if skipped else 1.0),
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
        Piece(dialogue.word(right), VERDICT_WEIGHT),
        Piece(dialogue.CLOSE, 0.0),
    ]
    return pieces
