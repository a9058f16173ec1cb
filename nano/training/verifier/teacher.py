r"""The teacher: writes the critique that a careful reader of one step would write.

The analysis works out from the state before the step what the step should be: the operation, its
digits where it has several, the value. Only then comes the value that is claimed, and, digit by
digit, whether it is the same; if so, what the problem becomes. A problem in words is read phrase by
phrase, from the inside.

    85 * 3: 5 * 3 = 15, 8 * 3 + 1 = 25: 255 == 255: 2 2, 5 5, 5 5: True, and so 255 - 59 * 4.
    85 * 3: 5 * 3 = 15, 8 * 3 + 1 = 25: 255 == 265: 2 2, 5 6: False.
    Divide by 3: 36 / 3: 12 == 12: 1 1, 2 2: True, and so x = 12.
    The problem is 37 + 48, (37 + 48) * 3, 59 * 4, (37 + 48) * 3 - 59 * 4.
    The state is x = 12.

The code compares the step's claims with the state before it, and is complete without the analysis,
except for translations, which have to be read: there it compares the teacher's reading.

    print(85 * 3 == 255, 85 * 3 - 59 * 4 == 255 - 59 * 4)
    x = 7
    print(95 + 5 == 100, ((3 * x + 14) * 2 - 5) + 5 == (3 * x + 14) * 2, 95 + 5 == 100)
    print((37 + 48) * 3 - 59 * 4 == (37 + 48) * 3 - 59 * 4)
    x = 12
    print(x == 12)

Here `x = 7` is any number: doing the announced move to both sides has to give the new sides. Where
x is divided, it is a fraction, so that nothing is rounded:

    from fractions import Fraction
    x = Fraction(7)
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from training.verifier.execute import IMPORT, approves, run
from tts_nano.problems import Claim, NanoProblem, claim, equations, reduction, words
from tts_nano.problems.expression import (
    Binary,
    Expression,
    at,
    mentions_x,
    put,
    read,
    reducible,
    show,
    value,
)

ANY_X: Final = 7
"""The number at which both sides of an equation are compared before and after a move."""
READING: Final = "The problem is "
"""Begins the analysis of a translation."""
NO_STEP: Final = "The step is not correct."
"""The analysis of text that does not follow the form of a step."""
REFUSAL: Final = "print(False)"
"""The code about it."""


@dataclass(frozen=True, slots=True)
class Critique:
    """What is written about one step."""

    opening: str
    """The beginning of the analysis: what is copied or read, and the computation digit by digit."""
    worked: str
    """The part of it that a claim may hold as well: the value, and everything after it."""
    code: str
    output: str
    """What the code prints."""

    @property
    def analysis(self) -> str:
        """All of the analysis."""
        return self.opening + self.worked

    @property
    def right(self) -> bool:
        """The verdict that the executed code amounts to."""
        return approves(self.output)


def critique(problem: NanoProblem, before: str | None, step: str, error: int = 0) -> Critique:
    """The critique of a step after the state `before` (`None`: the problem's prompt).

    With `error`, which is added to the value that the analysis computes, the analysis is wrong and
    the code is not: an exercise in trusting the code.
    """
    found = claim(step)
    state = _state(problem, before)
    if found is None:
        return _refused()
    if found.kind == "translation":
        if problem.family != "words" or before is not None:
            return _refused()
        tree = words.listen(problem.prompt)
        told, phrases = show(tree), _phrases(tree)[:-1]
        opening = READING + "".join(f"{phrase}, " for phrase in phrases)
        return _written(opening, f"{told}.", f"print({told} == {found.state})")
    if found.kind == "answer":
        code = f"print({state} == {found.state})"
        if problem.family == "equations":
            code = f"x = {found.state}\nprint({state.replace('=', '==')})"
        return _written("The state is ", f"{state}.", code)
    if problem.family == "equations":
        return _about_equation(state, found, error)
    if found.kind == "inversion":
        return _refused()
    tree = read(state)
    left, right = read(found.left or ""), read(found.state)
    if not isinstance(left, Binary) or tree is None:
        return _refused()
    code = f"print({found.left} == {found.right}, {state} == {found.state})"
    expected = _reduced(tree, left, right, error)
    if expected is None:
        return _written(f"{found.left} ", "is wrong.", code)
    opening = f"{found.left}: {by_digits(left)}"
    return _written(opening, _compared(left, error, found, show(expected)), code)


def by_digits(operation: Binary) -> str:
    """How the value of an operation comes about, digit by digit, before the value is written.

    `6 * 7 = 42, 1 * 7 + 4 = 11, 7 * 7 + 1 = 50: ` for `716 * 7`. Each part is a fact about small
    numbers that stands in no claim, so that there is nothing to copy; what a claim may hold as
    well, the value, is then put together from the parts right before it. Empty for facts about
    single digits, and for operations that the policy hardly ever meets.
    """
    operator, a, b = operation
    total = value(operation)
    if total is None or not isinstance(a, int) or not isinstance(b, int):
        raise ValueError(f"no value: {show(operation)}")
    places: list[str] = []
    if min(a, b, total) >= 0 and total.denominator == 1:
        if operator == "+":
            places = _added(a, b)
        elif operator == "-":
            places = _taken(a, b)
        elif operator == "*" and min(a, b) <= 9:
            places = _multiplied(max(a, b), min(a, b))
        elif operator == "*":
            rows = [max(a, b) * part for part in _parts(min(a, b))]
            places = [" + ".join(map(str, rows))] if len(rows) > 1 else []
        elif operator == "/" and b <= 9:
            places = _divided(a, b)
    plain = (total if operator == "/" else max(a, b)) <= 9
    return "" if plain or not places else f"{', '.join(places)}: "


def _compared(operation: Binary, error: int, found: Claim, then: str) -> str:
    """The value beside the one that is claimed, and if they agree what the problem becomes."""
    total = value(operation)
    if total is None:
        raise ValueError(f"no value: {show(operation)}")
    worked, claimed = str(total + error), found.right or ""
    ends = f": True, and so {then}." if worked == claimed else ": False."
    return f"{worked} == {claimed}: {side_by_side(worked, claimed)}{ends}"


def side_by_side(one: str, other: str) -> str:
    """Two numbers digit by digit, up to the first that differs: `2 2, 5 6` for 255 and 265.

    To see at a glance whether two numbers are the same is beyond so small a model; whether two
    digits are that stand next to each other is not. `?` stands for a digit that is not there.
    """
    pairs: list[str] = []
    for a, b in zip_longest(one, other, fillvalue="?"):
        pairs.append(f"{a} {b}")
        if a != b:
            break
    return ", ".join(pairs)


def _added(a: int, b: int) -> list[str]:
    """Units first, until nothing is left to add."""
    places: list[str] = []
    carry = 0
    while (a and b) or ((a or b) and carry):
        digits = [str(each % 10) for each in (a, b) if each or not (a or b)]
        total = a % 10 + b % 10 + carry
        places.append(f"{' + '.join(digits + ['1'] * carry)} = {total}")
        carry, a, b = total // 10, a // 10, b // 10
    return places


def _taken(a: int, b: int) -> list[str]:
    """Units first, ten borrowed where needed, until nothing is left to take."""
    places: list[str] = []
    borrowed = 0
    while b or borrowed:
        taken = b % 10 + borrowed
        upper = a % 10 + (10 if a % 10 < taken else 0)
        terms = [str(upper), *([str(b % 10)] if b else []), *["1"] * borrowed]
        places.append(f"{' - '.join(terms)} = {upper - taken}")
        borrowed, a, b = int(upper > 9), a // 10, b // 10
    return places


def _multiplied(many: int, few: int) -> list[str]:
    """The digits of the longer factor, units first, with what is carried."""
    places: list[str] = []
    carry = 0
    for digit in reversed(str(many)):
        total = int(digit) * few + carry
        places.append(f"{digit} * {few}{f' + {carry}' if carry else ''} = {total}")
        carry = total // 10
    return places


def _divided(a: int, b: int) -> list[str]:
    """The digits of the quotient from the left: `15 = 7 * 2 + 1`."""
    places: list[str] = []
    rest = 0
    for digit in str(a):
        part = rest * 10 + int(digit)
        if part >= b or places:
            quotient, rest = divmod(part, b)
            places.append(f"{part} = {quotient} * {b}{f' + {rest}' if rest else ''}")
        else:
            rest = part
    return places


def _parts(number: int) -> list[int]:
    """300, 40, 7 for 347; zeros are left out."""
    digits = str(abs(number))
    return [int(d) * 10 ** (len(digits) - i - 1) for i, d in enumerate(digits) if d != "0"]


def _phrases(tree: Expression) -> list[str]:
    """Every phrase of what is told, from the inside, the whole last."""
    if not isinstance(tree, Binary):
        return []
    return [*_phrases(tree.left), *_phrases(tree.right), show(tree)]


def _state(problem: NanoProblem, before: str | None) -> str:
    if before is not None:
        return before
    if problem.family == "equations":
        return equations.start(problem.prompt).text()
    if problem.family == "words":
        return show(words.listen(problem.prompt))
    return show(reduction.start(problem.prompt))


def _written(opening: str, worked: str, code: str) -> Critique:
    return Critique(opening, worked, code, run(code))


def _refused() -> Critique:
    return _written("", NO_STEP, REFUSAL)


def _reduced(
    tree: Expression, operation: Binary, claimed: Expression | None, error: int
) -> Expression | None:
    """The tree with an operation in it done; `None` when it is not in the tree.

    Where it stands twice, the place that leads to what was claimed is meant, else the first.
    """
    total = value(operation)
    places = [place for place in reducible(tree) if at(tree, place) == operation]
    if not places or total is None or total.denominator != 1:
        return None
    trees = [put(tree, place, int(total)) for place in places]
    place = places[trees.index(claimed) if claimed in trees else 0]
    return put(tree, place, int(total) + error)


def _about_equation(state: str, found: Claim, error: int) -> Critique:
    left_text, right_text = state.split(" = ")
    left, right = read(left_text), read(right_text)
    operation = read(found.left or "")
    sides = found.state.split(" = ")
    if len(sides) != 2 or left is None or right is None or not isinstance(operation, Binary):
        return _refused()
    before, after = (left_text, right_text), (sides[0], sides[1])
    if found.kind == "reduction":
        code = _both_sides(found, before, after)
        claimed = (read(sides[0]), read(sides[1]))
        done = _reduced(left, operation, claimed[0], error)
        new = (done, right) if done is not None else (left, None)
        if done is None or (claimed[0] == left and claimed[1] != right):
            other = _reduced(right, operation, claimed[1], error)
            new = (left, other) if other is not None else new
        if new[0] is None or new[1] is None:
            return _written(f"{found.left} ", "is wrong.", code)
        opening = f"{found.left}: {by_digits(operation)}"
        shown = f"{show(new[0])} = {show(new[1])}"
        return _written(opening, _compared(operation, error, found, shown), code)
    move, constant = _move(found.move or "")
    if move is None or constant is None:
        return _refused()
    moved = (_after_move(before[0], move, constant), _after_move(before[1], move, constant))
    code = _both_sides(found, moved, after)
    undo = equations.inverse(left, right)
    total = value(undo.arithmetic) if undo is not None else None
    if undo is None or total is None or total.denominator != 1 or not isinstance(left, Binary):
        return _written(f"{found.move} ", "is wrong.", code)
    rest = left.left if mentions_x(left.left) else left.right
    opening = f"{undo.move}: {show(undo.arithmetic)}: {by_digits(undo.arithmetic)}"
    shown = f"{show(rest)} = {total + error}"
    return _written(opening, _compared(undo.arithmetic, error, found, shown), code)


def _both_sides(found: Claim, expected: tuple[str, str], after: tuple[str, str]) -> str:
    comparisons = ", ".join(f"{a} == {b}" for a, b in zip(expected, after, strict=True))
    number = f"x = {ANY_X}"
    if "/" in expected[0] + after[0]:
        number = f"{IMPORT}x = Fraction({ANY_X})"
    return f"{number}\nprint({found.left} == {found.right}, {comparisons})"


def _move(announced: str) -> tuple[str | None, str | None]:
    """The words of a move and its number."""
    name, _, constant = announced.rpartition(" ")
    known = ("Add", "Subtract", "Subtract from", "Divide by", "Multiply by")
    return (name, constant) if name in known else (None, None)


def _after_move(side: str, move: str, constant: str) -> str:
    whole = f"({side})" if " " in side else side
    if move == "Subtract from":
        return f"{constant} - {whole}"
    operator = {"Add": "+", "Subtract": "-", "Divide by": "/", "Multiply by": "*"}[move]
    return f"{whole} {operator} {constant}"
