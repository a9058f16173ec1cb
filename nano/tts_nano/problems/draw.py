"""Random expressions of a given difficulty, made of operations that a tiny model gets mostly right.

Difficulty is meant to be spread over many operations that each fail now and then. A product of two
arbitrary 2-digit numbers, which fails four times in five, would decide a whole problem by itself:
products here have a 1-digit factor, or (rarely, `wide`) two factors of at most `WIDE_FACTOR`.
All values that occur are integers between 1 and `largest`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from tts_nano.problems.expression import Binary, Expression, Operator

LONG_FACTOR: Final = 1999
"""Largest factor beside a 1-digit one."""
SHORT_FACTOR: Final = 0.5
"""Chance that a number in a product is drawn with one digit."""
WIDE_FACTOR: Final = 40
"""Largest factor of a product of two 2-digit numbers."""


@dataclass(frozen=True, slots=True)
class Difficulty:
    """What makes a problem hard."""

    operations: int
    """How many operations, and so about how many steps; >= 1."""
    digits: int
    """Most digits of a number in the problem, 1..4."""
    largest: int
    """Largest value that occurs anywhere in the right solution."""
    wide: float = 0.0
    """Share, 0..1, of the products of two 2-digit numbers that are let through."""


def number(difficulty: Difficulty, rng: random.Random) -> int:
    """A number as it stands in a problem: 1-digit in three of ten cases, else longer."""
    if difficulty.digits == 1 or rng.random() < 0.3:
        return rng.randint(2, 9)
    digits = rng.randint(2, difficulty.digits)
    low, high = 10 ** (digits - 1), 10**digits - 1
    return rng.randint(low, max(low, min(high, difficulty.largest)))


def product_allowed(a: int, b: int, difficulty: Difficulty, rng: random.Random) -> bool:
    """Whether `a * b` is a product this difficulty asks for."""
    small, large = min(a, b), max(a, b)
    if small < 2 or a * b > difficulty.largest:
        return False
    if small <= 9:
        return large <= LONG_FACTOR
    return large <= WIDE_FACTOR and rng.random() < difficulty.wide


def expression(
    operations: int, difficulty: Difficulty, rng: random.Random
) -> tuple[Expression, int]:
    """An expression with exactly `operations` operations (+ - *), and its value.

    Left-deep shapes are about twice as frequent as they would be by chance, as in written text.
    """
    if operations == 0:
        leaf = number(difficulty, rng)
        return leaf, leaf
    while True:
        left_operations = (
            rng.randint(0, operations - 1)
            if rng.random() < 0.45
            else rng.choice((operations - 1, operations - 1, 0))
        )
        operator: Operator = rng.choices(("+", "-", "*"), (0.3, 0.3, 0.4))[0]
        left, a = _operand(operator, left_operations, difficulty, rng)
        right, b = _operand(operator, operations - 1 - left_operations, difficulty, rng)
        result = apply(operator, a, b, difficulty, rng)
        if result is not None:
            return Binary(operator, left, right), result


def constant(operator: Operator, difficulty: Difficulty, rng: random.Random) -> int:
    """A number beside `operator`: a factor or divisor mostly has 1 digit, or few would fit."""
    if operator in "*/" and rng.random() < SHORT_FACTOR:
        return rng.randint(2, 9)
    return number(difficulty, rng)


def _operand(
    operator: Operator, operations: int, difficulty: Difficulty, rng: random.Random
) -> tuple[Expression, int]:
    if operations:
        return expression(operations, difficulty, rng)
    leaf = constant(operator, difficulty, rng)
    return leaf, leaf


def apply(
    operator: Operator, a: int, b: int, difficulty: Difficulty, rng: random.Random
) -> int | None:
    """The value of the operation, or `None` when this difficulty does not want it."""
    if operator == "*":
        return a * b if product_allowed(a, b, difficulty, rng) else None
    if operator == "/":
        return a // b if 2 <= b <= 9 and a % b == 0 and a // b >= 2 else None
    result = a + b if operator == "+" else a - b
    return result if 1 <= result <= difficulty.largest else None
