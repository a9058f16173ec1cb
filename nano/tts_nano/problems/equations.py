r"""Equations: a linear equation in x is solved by undoing one operation and writing it again.

    Solve (3 * x + 14) * 2 - 5 = 95.

    Add 5: 95 + 5 = 100, so (3 * x + 14) * 2 = 100.
    Divide by 2: 100 / 2 = 50, so 3 * x + 14 = 50.
    Subtract 14: 50 - 14 = 36, so 3 * x = 36.
    Divide by 3: 36 / 3 = 12, so x = 12.
    The answer is \boxed{12}.

x occurs once, its value is a positive integer, and so is every value on the way. Where an equation
has arithmetic without x (`x + 4 * 7 = 30`), that is reduced by steps as in `reduction`.
"""

from __future__ import annotations

import random
import re
from fractions import Fraction
from typing import Final, NamedTuple

from tts_nano.problems import draw
from tts_nano.problems.claims import Claim, answer_step
from tts_nano.problems.draft import Draft
from tts_nano.problems.expression import (
    Binary,
    Expression,
    Operator,
    line,
    mentions_x,
    read,
    reducible,
    show,
)
from tts_nano.problems.reduction import IN_ORDER, reduce_at

LEVELS: Final = (
    (draw.Difficulty(1, 2, 999), draw.Difficulty(2, 2, 999)),
    (draw.Difficulty(2, 2, 1999), draw.Difficulty(3, 2, 999)),
    (draw.Difficulty(5, 2, 999), draw.Difficulty(6, 2, 999)),
    (draw.Difficulty(6, 3, 1999), draw.Difficulty(8, 2, 2999)),
    (draw.Difficulty(8, 3, 1999), draw.Difficulty(10, 2, 2999)),
    (draw.Difficulty(8, 3, 9999), draw.Difficulty(9, 3, 1999)),
    (draw.Difficulty(10, 3, 9999),),
)

COMPOUND: Final = 0.25
"""Chance, 0..1, that a constant is written as an operation on two numbers."""

_WRAPS: Final[tuple[tuple[Operator, bool], ...]] = (
    ("+", False),
    ("+", True),
    ("-", False),
    ("-", True),
    ("*", False),
    ("*", True),
    ("/", False),
)
"""Operator, and whether the constant comes first."""
_WRAP_WEIGHTS: Final = (0.14, 0.08, 0.14, 0.12, 0.2, 0.2, 0.12)


class Equation(NamedTuple):
    """Two sides; x stands on the left."""

    left: Expression
    right: Expression

    def text(self) -> str:
        """`left = right`."""
        return f"{show(self.left)} = {show(self.right)}"

    def root(self) -> Fraction | None:
        """The one number that x can be; `None` when there is none or more than one."""
        left, right = line(self.left), line(self.right)
        if left is None or right is None or left.slope == right.slope:
            return None
        return (right.offset - left.offset) / (left.slope - right.slope)


class Inverse(NamedTuple):
    """The move that undoes an operation, and its arithmetic on the right side."""

    move: str
    arithmetic: Binary


def propose(difficulty: draw.Difficulty, rng: random.Random) -> Draft:
    """A random problem."""
    answer = draw.number(difficulty, rng)
    left: Expression = "x"
    total, remaining = answer, difficulty.operations
    on_the_right = remaining > 1 and rng.random() < COMPOUND
    remaining -= on_the_right
    while remaining:
        compound = remaining > 1 and rng.random() < COMPOUND
        operator, first = rng.choices(_WRAPS, _WRAP_WEIGHTS)[0]
        size = draw.constant(operator, difficulty, rng)
        constant: Expression = size
        if compound:
            constant, size = draw.expression(1, difficulty, rng)
        a, b = (size, total) if first else (total, size)
        result = draw.apply(operator, a, b, difficulty, rng)
        if result is None:
            continue
        left = Binary(operator, constant, left) if first else Binary(operator, left, constant)
        total = result
        remaining -= 1 + compound
    right: Expression = total
    if on_the_right:
        part = rng.randint(1, total)
        right = Binary("+", total - part, part) if part < total else Binary("-", 2 * total, total)
    equation = Equation(left, right).text()
    return Draft(f"Solve {equation}.", answer, (equation,), difficulty.operations)


def start(prompt: str) -> Equation:
    """The equation of a prompt. Raises `ValueError` for a prompt of another family."""
    match = re.fullmatch(r"Solve (.+)\.", prompt)
    equation = _read(match[1]) if match else None
    if equation is None or equation.root() is None:
        raise ValueError(f"no equation to solve in {prompt!r}")
    return equation


def solution(prompt: str, rng: random.Random) -> list[str]:
    """A right solution."""
    left, right = start(prompt)
    steps = []
    while left != "x" or not isinstance(right, int):
        undo = inverse(left, right)
        on_left, on_right = reducible(left), reducible(right)
        choices = len(on_left) + len(on_right) + (undo is not None)
        chosen = 0 if rng.random() < IN_ORDER else rng.randrange(choices)
        if chosen < len(on_left):
            step, left = reduce_at(left, on_left[chosen])
        elif chosen < len(on_left) + len(on_right):
            step, right = reduce_at(right, on_right[chosen - len(on_left)])
        elif undo is not None and isinstance(left, Binary):
            arithmetic, right = reduce_at(undo.arithmetic, ())
            step = f"{undo.move}: {arithmetic}"
            left = left.left if mentions_x(left.left) else left.right
        steps.append(f"{step}{Equation(left, right).text()}.")
    return [*steps, answer_step(right)]


def follows(prompt: str, before: str | None, claim: Claim) -> bool:
    """Whether a claim is true and keeps the root of the state before (`None`: the prompt).

    An inversion must also do what it announces: `Add 5: 95 + 6 = 101` is wrong.
    """
    equation = start(prompt) if before is None else _read(before)
    root = None if equation is None else equation.root()
    if equation is None or root is None or not claim.arithmetic_holds():
        return False
    if claim.kind == "answer":
        return read(claim.state) == root
    if claim.kind == "inversion" and not _announced(claim):
        return False
    state = _read(claim.state)
    return claim.kind != "translation" and state is not None and state.root() == root


def inverse(left: Expression, right: Expression) -> Inverse | None:
    """How to undo the outermost operation on x, when both numbers it needs are plain."""
    if not isinstance(left, Binary) or not isinstance(right, int):
        return None
    first = not mentions_x(left.left)
    constant = left.left if first else left.right
    if not isinstance(constant, int):
        return None
    if left.operator == "+":
        return Inverse(f"Subtract {constant}", Binary("-", right, constant))
    if left.operator == "*":
        return Inverse(f"Divide by {constant}", Binary("/", right, constant))
    if left.operator == "/":
        return Inverse(f"Multiply by {constant}", Binary("*", right, constant))
    if first:
        return Inverse(f"Subtract from {constant}", Binary("-", constant, right))
    return Inverse(f"Add {constant}", Binary("+", right, constant))


def _announced(claim: Claim) -> bool:
    arithmetic = read(claim.left or "")
    if not isinstance(arithmetic, Binary):
        return False
    operator, a, b = arithmetic
    announced = {
        ("+", f"Add {b}"),
        ("-", f"Subtract {b}"),
        ("-", f"Subtract from {a}"),
        ("*", f"Multiply by {b}"),
        ("/", f"Divide by {b}"),
    }
    return (operator, claim.move) in announced


def _read(text: str) -> Equation | None:
    sides = [read(side) for side in text.split("=")]
    if len(sides) != 2 or sides[0] is None or sides[1] is None:
        return None
    return Equation(sides[0], sides[1])
