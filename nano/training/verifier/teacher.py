r"""The teacher: writes the critique that a careful reader of one step would write.

The analysis says what the step should be, worked out from the state before it, never what the step
claims: the operation, its parts where it is long, the value, and what the problem becomes.

    85 * 3: 240 + 15 = 255, and so 255 - 59 * 4.
    Add 5: 95 + 5: 100, and so (3 * x + 14) * 2 = 100.
    The problem is (37 + 48) * 3 - 59 * 4.
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
    """The beginning of the analysis, which is copied or read: `85 * 3: `."""
    worked: str
    """The part of the analysis that is computed, with everything after it."""
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
        told = show(words.listen(problem.prompt))
        return _written(READING, f"{told}.", f"print({told} == {found.state})")
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
    return _written(f"{found.left}: ", f"{worked(left, error)}, and so {show(expected)}.", code)


def worked(operation: Binary, error: int = 0) -> str:
    """How the value of an operation comes about: `240 + 15 = 255`, or just `85`.

    Products and quotients are split by the digits of the longer factor or of the quotient.
    """
    operator, a, b = operation
    total = value(operation)
    if total is None or not isinstance(a, int) or not isinstance(b, int):
        raise ValueError(f"no value: {show(operation)}")
    terms: list[int] = []
    if operator == "*":
        few, many = sorted((a, b), key=lambda factor: len(str(abs(factor))))
        split = few if abs(few) > 9 else many
        terms = [part * (many if abs(few) > 9 else few) for part in _parts(split)]
    elif operator == "/" and total.denominator == 1:
        terms = [part * b for part in _parts(int(total))]
    shown = str(total + error)
    return f"{' + '.join(map(str, terms))} = {shown}" if len(terms) > 1 else shown


def _parts(number: int) -> list[int]:
    """300, 40, 7 for 347; zeros are left out."""
    digits = str(abs(number))
    return [int(d) * 10 ** (len(digits) - i - 1) for i, d in enumerate(digits) if d != "0"]


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
        shown = f"{show(new[0])} = {show(new[1])}"
        return _written(f"{found.left}: ", f"{worked(operation, error)}, and so {shown}.", code)
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
    opening = f"{undo.move}: {show(undo.arithmetic)}: "
    shown = f"{show(rest)} = {total + error}"
    return _written(opening, f"{worked(undo.arithmetic, error)}, and so {shown}.", code)


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
