r"""Reduction: an arithmetic expression is evaluated by doing one operation and writing it again.

    Evaluate (37 + 48) * 3 - 59 * 4.

    37 + 48 = 85, so 85 * 3 - 59 * 4.
    85 * 3 = 255, so 255 - 59 * 4.
    59 * 4 = 236, so 255 - 236.
    255 - 236 = 19, so 19.
    The answer is \boxed{19}.

Which operation comes first is free where several have plain numbers on both sides.
"""

from __future__ import annotations

import random
import re
from typing import Final

from tts_nano.problems import draw
from tts_nano.problems.claims import Claim, answer_step
from tts_nano.problems.draft import Draft
from tts_nano.problems.expression import (
    Binary,
    Expression,
    Path,
    at,
    put,
    read,
    reducible,
    show,
    value,
)

IN_ORDER: Final = 0.7
"""Share of steps that reduce the leftmost possible operation; the others take any."""

LEVELS: Final = (
    (draw.Difficulty(1, 2, 999), draw.Difficulty(2, 2, 999)),
    (draw.Difficulty(3, 3, 9999), draw.Difficulty(4, 3, 9999)),
    (draw.Difficulty(5, 4, 9999, 0.5), draw.Difficulty(6, 3, 9999)),
    (draw.Difficulty(7, 3, 9999), draw.Difficulty(8, 3, 9999, 0.5)),
    (draw.Difficulty(9, 3, 9999), draw.Difficulty(10, 3, 9999)),
    (draw.Difficulty(9, 4, 9999, 0.5), draw.Difficulty(10, 3, 9999, 0.5)),
    (draw.Difficulty(10, 4, 9999, 0.5),),
)

_PROMPT: Final = re.compile(r"Evaluate (.+)\.")


def propose(difficulty: draw.Difficulty, rng: random.Random) -> Draft:
    """A random problem."""
    tree, answer = draw.expression(difficulty.operations, difficulty, rng)
    text = show(tree)
    return Draft(f"Evaluate {text}.", answer, (text,), difficulty.operations)


def start(prompt: str) -> Expression:
    """The expression of a prompt. Raises `ValueError` for a prompt of another family."""
    match = _PROMPT.fullmatch(prompt)
    tree = read(match[1]) if match else None
    if tree is None or value(tree) is None:
        raise ValueError(f"no expression to evaluate in {prompt!r}")
    return tree


def solution(prompt: str, rng: random.Random) -> list[str]:
    """A right solution."""
    return reduce(start(prompt), rng)


def follows(prompt: str, before: str | None, claim: Claim) -> bool:
    """Whether a claim is true and keeps the value of the state before (`None`: the prompt)."""
    tree = start(prompt) if before is None else read(before)
    if claim.kind not in ("reduction", "answer") or not claim.arithmetic_holds():
        return False
    return same_value(tree, read(claim.state))


def same_value(a: Expression | None, b: Expression | None) -> bool:
    """Whether both are expressions without x, and equal."""
    found = value(a)
    return found is not None and found == value(b)


def reduce(tree: Expression, rng: random.Random) -> list[str]:
    """Steps that evaluate an expression of positive integers, the answer last."""
    steps = []
    while isinstance(tree, Binary):
        places = reducible(tree)
        place = places[0] if rng.random() < IN_ORDER else rng.choice(places)
        step, tree = reduce_at(tree, place)
        steps.append(f"{step}{show(tree)}.")
    if tree == "x":
        raise ValueError("x has no value")
    return [*steps, answer_step(tree)]


def reduce_at(tree: Expression, place: Path) -> tuple[str, Expression]:
    """The sentence `37 + 48 = 85, so ` and the expression after the operation at `place`."""
    done = at(tree, place)
    result = value(done)
    if result is None or result.denominator != 1:
        raise ValueError(f"{show(done)} is no integer")
    return f"{show(done)} = {result}, so ", put(tree, place, int(result))
