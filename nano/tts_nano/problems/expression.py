"""Integer expressions as small trees: read, written, evaluated and reduced without `eval`.

The text form uses `+ - * /`, parentheses, decimal integers and at most the one name `x`. Reading is
total: text that is no such expression, or is larger than the limits below, gives `None`.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final, Literal, NamedTuple, TypeAlias

Operator: TypeAlias = Literal["+", "-", "*", "/"]

MAX_CHARACTERS: Final = 400
"""Longest text that is read; bounds time and the size of every value."""
MAX_DEPTH: Final = 40
"""Deepest nesting of parentheses and signs that is read."""

_TOKEN: Final = re.compile(r" *(?:([0-9]+)|([-+*/()x]))")
_PRECEDENCE: Final = {"+": 1, "-": 1, "*": 2, "/": 2}


class Binary(NamedTuple):
    """One operation on two expressions."""

    operator: Operator
    left: Expression
    right: Expression


Expression: TypeAlias = "int | Literal['x'] | Binary"
Path: TypeAlias = tuple[Literal[1, 2], ...]
"""Where a subexpression stands: 1 goes to the left operand, 2 to the right one."""


def show(tree: Expression) -> str:
    """The text with as few parentheses as keep the tree: `read(show(tree)) == tree`."""
    return _show(tree, 0)


def _show(tree: Expression, minimum: int) -> str:
    if not isinstance(tree, Binary):
        return str(tree)
    precedence = _PRECEDENCE[tree.operator]
    left, right = _show(tree.left, precedence), _show(tree.right, precedence + 1)
    text = f"{left} {tree.operator} {right}"
    return f"({text})" if precedence < minimum else text


def read(text: str) -> Expression | None:
    """The tree of `text`, or `None` when it is malformed or above the limits."""
    if len(text) > MAX_CHARACTERS:
        return None
    tokens: list[str] = []
    position = 0
    end = len(text.rstrip(" "))
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            return None
        number, symbol = match.groups()
        if number is not None and len(number) > 1 and number[0] == "0":
            return None  # Python refuses 07 as well
        tokens.append(number if number is not None else symbol)
        position = match.end()
    reader = _Reader(tokens)
    tree = reader.sum(0)
    return tree if reader.position == len(tokens) else None


class _Reader:
    """Recursive descent over tokens; every method gives `None` on malformed input."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.position = 0

    def sum(self, depth: int) -> Expression | None:
        left = self.product(depth)
        while left is not None and (operator := self._take("+", "-")) is not None:
            right = self.product(depth)
            left = None if right is None else Binary(operator, left, right)
        return left

    def product(self, depth: int) -> Expression | None:
        left = self.factor(depth)
        while left is not None and (operator := self._take("*", "/")) is not None:
            right = self.factor(depth)
            left = None if right is None else Binary(operator, left, right)
        return left

    def factor(self, depth: int) -> Expression | None:
        if depth > MAX_DEPTH or self.position >= len(self.tokens):
            return None
        first = self.tokens[self.position]
        self.position += 1
        if first == "x":
            return "x"
        if first.isdigit():
            return int(first)
        if first == "-":
            inner = self.factor(depth + 1)
            if isinstance(inner, int):
                return -inner
            return None if inner is None else Binary("-", 0, inner)
        if first == "(":
            inside = self.sum(depth + 1)
            closed = self.position < len(self.tokens) and self.tokens[self.position] == ")"
            self.position += 1
            return inside if closed else None
        return None

    def _take(self, *operators: Operator) -> Operator | None:
        for operator in operators:
            if self.position < len(self.tokens) and self.tokens[self.position] == operator:
                self.position += 1
                return operator
        return None


class Line(NamedTuple):
    """`slope * x + offset`: what an expression in x amounts to."""

    slope: Fraction
    offset: Fraction


def line(tree: Expression) -> Line | None:
    """The expression as a line in x; `None` when it is none (x * x, 1 / x) or divides by zero."""
    if isinstance(tree, int):
        return Line(Fraction(0), Fraction(tree))
    if not isinstance(tree, Binary):
        return Line(Fraction(1), Fraction(0))
    a, b = line(tree.left), line(tree.right)
    if a is None or b is None:
        return None
    if tree.operator == "+":
        return Line(a.slope + b.slope, a.offset + b.offset)
    if tree.operator == "-":
        return Line(a.slope - b.slope, a.offset - b.offset)
    if tree.operator == "*":
        if a.slope and b.slope:
            return None
        return Line(a.slope * b.offset + b.slope * a.offset, a.offset * b.offset)
    if b.slope or not b.offset:
        return None
    return Line(a.slope / b.offset, a.offset / b.offset)


def value(tree: Expression | None) -> Fraction | None:
    """The exact value; `None` for no expression, one that contains x, or a division by zero."""
    if tree is None:
        return None
    result = line(tree)
    return None if result is None or mentions_x(tree) else result.offset


def mentions_x(tree: Expression) -> bool:
    """Whether x stands anywhere in the expression."""
    if isinstance(tree, Binary):
        return mentions_x(tree.left) or mentions_x(tree.right)
    return tree == "x"


def operations(tree: Expression) -> int:
    """How many operations the expression has."""
    if isinstance(tree, Binary):
        return 1 + operations(tree.left) + operations(tree.right)
    return 0


def parts(tree: Expression) -> list[str]:
    """Numbers and operators, sorted: equal for expressions that differ by order or grouping."""
    if isinstance(tree, Binary):
        return sorted([tree.operator, *parts(tree.left), *parts(tree.right)])
    return [str(tree)]


def reducible(tree: Expression, path: Path = ()) -> list[Path]:
    """Paths of the operations whose operands are both numbers, from left to right."""
    if not isinstance(tree, Binary):
        return []
    if isinstance(tree.left, int) and isinstance(tree.right, int):
        return [path]
    return reducible(tree.left, (*path, 1)) + reducible(tree.right, (*path, 2))


def at(tree: Expression, path: Path) -> Expression:
    """The subexpression at `path`. Raises `ValueError` when the path leaves the tree."""
    for turn in path:
        if not isinstance(tree, Binary):
            raise ValueError(f"no operand {turn} below {tree!r}")  # noqa: TRY004
        tree = tree[turn]
    return tree


def put(tree: Expression, path: Path, new: Expression) -> Expression:
    """The expression with `new` at `path`. Raises `ValueError` when the path leaves the tree."""
    if not path:
        return new
    if not isinstance(tree, Binary):
        raise ValueError(f"no operand {path[0]} below {tree!r}")  # noqa: TRY004
    if path[0] == 1:
        return tree._replace(left=put(tree.left, path[1:], new))
    return tree._replace(right=put(tree.right, path[1:], new))
