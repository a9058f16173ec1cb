r"""What one step of a solution claims, as pieces that a program can check.

Four kinds of steps exist, each a fixed sentence:

    translation   The expression is (37 + 48) * 3.
    reduction     37 + 48 = 85, so 85 * 3.
    inversion     Add 5: 95 + 5 = 100, so (3 * x + 14) * 2 = 100.
    answer        The answer is \boxed{19}.

Reading is total: a step that is none of these gives `None`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from tts_nano.problems.expression import Operator, read, value

MAX_STEP_CHARACTERS: Final = 1000
"""Longer steps claim nothing that is read."""

DELIMITER: Final = "\n\n"
"""Between the steps of a solution."""

Kind = Literal["translation", "reduction", "inversion", "answer"]

_TRANSLATION: Final = re.compile(r"The expression is ([^=]+)\.")
_REWRITE: Final = re.compile(
    r"(?:([A-Z][a-z ]+ [0-9]+): )?"
    r"(-?[0-9]+) ([-+*/]) (-?[0-9]+) = (-?[0-9]+), so ([^=]+(?: = [^=]+)?)\."
)
_ANSWER: Final = re.compile(r"The answer is \\boxed\{(-?[0-9]+)\}\.")
_BOXED: Final = re.compile(r"\\boxed\{(-?[0-9]{1,40})\}")


@dataclass(frozen=True, slots=True)
class Claim:
    """The pieces of one step, as text in the notation of Python."""

    kind: Kind
    state: str
    """What the problem has become: an expression, an equation `left = right`, or the answer."""
    left: str | None = None
    """The one operation, such as `37 + 48`; only for reductions and inversions."""
    right: str | None = None
    """What the step says the operation gives, such as `85`."""
    operator: Operator | None = None
    """The operator in `left`."""
    move: str | None = None
    """The announced move of an inversion, such as `Add 5`."""

    def arithmetic_holds(self) -> bool:
        """Whether `left` equals `right`; true when the step does no arithmetic."""
        if self.left is None or self.right is None:
            return True
        result = value(read(self.left))
        return result is not None and result == value(read(self.right))


def claim(step: str) -> Claim | None:
    """The claim of a step, or `None` when its sentence is none of the four."""
    step = step.strip()
    if len(step) > MAX_STEP_CHARACTERS:
        return None
    if match := _TRANSLATION.fullmatch(step):
        return Claim("translation", match[1])
    if match := _ANSWER.fullmatch(step):
        return Claim("answer", match[1])
    if match := _REWRITE.fullmatch(step):
        move, a, operator, b, right, state = match.groups()
        return Claim(
            kind="reduction" if move is None else "inversion",
            state=state,
            left=f"{a} {operator} {b}",
            right=right,
            operator=_operator(operator),
            move=move,
        )
    return None


def answer_of(text: str) -> str | None:
    """The last boxed integer of a solution, without a leading zero; `None` when there is none."""
    boxed = _BOXED.findall(text)
    return str(int(boxed[-1])) if boxed else None


def answer_step(answer: int) -> str:
    """The last step of every solution."""
    return f"The answer is \\boxed{{{answer}}}."


def _operator(symbol: str) -> Operator:
    operators: dict[str, Operator] = {"+": "+", "-": "-", "*": "*", "/": "/"}
    return operators[symbol]
