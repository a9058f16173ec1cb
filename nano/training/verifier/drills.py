"""Drills: operations worked out and compared with a claim that stands behind the value.

In a conversation the claim is in sight while the verifier computes, so that it can be copied, and
nearly always is right, so that a comparison says little. Here there is nothing to copy, and one in
two comparisons fails.
"""

from __future__ import annotations

import random
from typing import Final

from training.verifier.conversation import Piece
from training.verifier.slips import slipped
from training.verifier.teacher import by_digits, side_by_side
from tts_nano.problems.expression import Binary, show, value

LINES: Final = 12
"""Of one drill."""


def drill(rng: random.Random) -> list[Piece]:
    """Some operations, each with its digits, its value and the comparison."""
    return [piece for _ in range(LINES) for piece in _line(_operation(rng), rng)]


def _line(operation: Binary, rng: random.Random) -> list[Piece]:
    total = str(value(operation))
    claimed = total if rng.random() < 0.5 else slipped(total, rng)
    return [
        Piece(f"{show(operation)}: ", 0.0),
        Piece(f"{by_digits(operation)}{total} == ", 1.0),
        Piece(claimed, 0.0),
        Piece(f": {side_by_side(total, claimed)}: {total == claimed}.\n", 1.0),
    ]


def _operation(rng: random.Random) -> Binary:
    """As the policy meets them: most by one digit, none with a negative or broken value."""
    a, b = (rng.randrange(10 ** rng.randint(1, 4)) for _ in range(2))
    digit = rng.randint(2, 9)
    match rng.randrange(4):
        case 0:
            return Binary("+", a, b)
        case 1:
            return Binary("-", max(a, b), min(a, b))
        case 2:
            return Binary("*", digit, a) if rng.random() < 0.5 else Binary("*", a, digit)
        case _:
            return Binary("/", a * digit, digit)
