"""Words: an arithmetic expression told in English, first written down, then reduced.

    Take the sum of 37 and 48, multiply by 3, then subtract the product of 59 and 4.

    The expression is (37 + 48) * 3 - 59 * 4.
    37 + 48 = 85, so 85 * 3 - 59 * 4.
    ...

The first step has to be read to be checked: no code can compute it from the numbers. The wording is
a small unambiguous grammar, written by `tell` and read back by `listen`.
"""

from __future__ import annotations

import random
import re
from typing import Final, NamedTuple

from tts_nano.problems import draw, reduction
from tts_nano.problems.claims import Claim
from tts_nano.problems.draft import Draft
from tts_nano.problems.expression import Binary, Expression, Operator, operations, parts, read, show

LEVELS: Final = (
    (draw.Difficulty(1, 2, 999), draw.Difficulty(2, 2, 999)),
    (draw.Difficulty(3, 3, 9999), draw.Difficulty(4, 2, 999)),
    (draw.Difficulty(4, 4, 9999, 0.5), draw.Difficulty(5, 3, 9999)),
    (draw.Difficulty(6, 4, 9999, 0.5), draw.Difficulty(7, 3, 9999, 0.5)),
    (draw.Difficulty(7, 4, 9999, 0.5), draw.Difficulty(8, 3, 9999)),
    (draw.Difficulty(8, 4, 9999, 0.5), draw.Difficulty(9, 3, 9999)),
    (draw.Difficulty(10, 3, 9999, 0.5),),
)


class _Phrase(NamedTuple):
    """Words that stand for an operation; `swapped` when the operand named first comes second."""

    words: str
    operator: Operator
    swapped: bool = False


STARTS: Final = ("Take ", "Start with ", "Begin with ")
FIND: Final = "Find "
AND: Final = " and "
TWICE: Final = "twice "
DOUBLE: Final = "double it"
NOUNS: Final = (
    _Phrase("the sum of ", "+"),
    _Phrase("the total of ", "+"),
    _Phrase("the difference between ", "-"),
    _Phrase("the product of ", "*"),
)
"""Each is followed by two operands with ` and ` between them."""
BETWEEN_NUMBERS: Final = (
    _Phrase(" plus ", "+"),
    _Phrase(" minus ", "-"),
    _Phrase(" taken from ", "-", swapped=True),
    _Phrase(" times ", "*"),
)
MOVES: Final = (
    _Phrase("add ", "+"),
    _Phrase("then add ", "+"),
    _Phrase("increase it by ", "+"),
    _Phrase("subtract it from ", "-", swapped=True),
    _Phrase("take it away from ", "-", swapped=True),
    _Phrase("subtract ", "-"),
    _Phrase("then subtract ", "-"),
    _Phrase("then take away ", "-"),
    _Phrase("decrease it by ", "-"),
    _Phrase("multiply by ", "*"),
    _Phrase("then multiply by ", "*"),
    _Phrase("multiply it by ", "*"),
)
"""Each changes the result so far by the operand that follows."""


def propose(difficulty: draw.Difficulty, rng: random.Random) -> Draft:
    """A random problem."""
    tree, answer = draw.expression(difficulty.operations, difficulty, rng)
    prompt = tell(tree, rng)
    return Draft(prompt, answer, (show(tree), prompt), difficulty.operations)


def solution(prompt: str, rng: random.Random) -> list[str]:
    """A right solution."""
    tree = listen(prompt)
    return [f"The expression is {show(tree)}.", *reduction.reduce(tree, rng)]


def follows(prompt: str, before: str | None, claim: Claim) -> bool:
    """Whether a claim is right after the state before (`None`: the prompt).

    A translation is right when it has the value and exactly the numbers and operations of the
    wording: `48 + 37` for `37 + 48` is right, a different sum that happens to agree is not.
    """
    told = listen(prompt)
    if claim.kind == "translation":
        tree = read(claim.state)
        if before is not None or tree is None or parts(tree) != parts(told):
            return False
        return reduction.same_value(tree, told)
    return reduction.follows(f"Evaluate {show(told)}.", before, claim)


def tell(tree: Expression, rng: random.Random) -> str:
    """An expression in words: a chain of moves along the longer operand, the others as nouns."""
    if not isinstance(tree, Binary) or (operations(tree) == 1 and rng.random() < 0.4):
        return f"{FIND}{_noun(tree, rng)}."
    return f"{rng.choice(STARTS)}{_chain(tree, rng)}."


def _chain(tree: Expression, rng: random.Random) -> str:
    if not isinstance(tree, Binary):
        return str(tree)
    operator, left, right = tree
    if operations(tree) == 1 and rng.random() < 0.5:
        return _noun(tree, rng)
    swapped = operator == "-" and operations(right) > operations(left)
    if swapped:
        left, right = right, left
    if operator == "*" and right == 2 and rng.random() < 0.7:
        return f"{_chain(left, rng)}, {DOUBLE}"
    phrases = [move for move in MOVES if move.operator == operator and move.swapped == swapped]
    # The chain is told first: the order of random choices is the order of the words.
    told = _chain(left, rng)
    return f"{told}, {rng.choice(phrases).words}{_noun(right, rng)}"


def _noun(tree: Expression, rng: random.Random) -> str:
    if not isinstance(tree, Binary):
        return str(tree)
    operator, left, right = tree
    numbers = isinstance(left, int) and isinstance(right, int)
    if numbers and rng.random() < 0.4:
        phrase = rng.choice([each for each in BETWEEN_NUMBERS if each.operator == operator])
        first, second = (right, left) if phrase.swapped else (left, right)
        return f"{first}{phrase.words}{second}"
    if operator == "*" and left == 2 and rng.random() < 0.7:
        told = str(right) if isinstance(right, int) else _noun(right, rng)
        if isinstance(right, int) or told.startswith("the "):
            return f"{TWICE}{told}"
    noun = rng.choice([each for each in NOUNS if each.operator == operator])
    first_told = _noun(left, rng)
    return f"{noun.words}{first_told}{AND}{_noun(right, rng)}"


def listen(prompt: str) -> Expression:
    """The expression that a prompt tells. Raises `ValueError` for anything `tell` cannot say."""
    listener = _Listener(prompt)
    tree = listener.prompt()
    if tree is None or listener.rest != "":
        raise ValueError(f"not an expression in words: {prompt!r}")
    return tree


class _Listener:
    """Recursive descent over the grammar of `tell`; methods give `None` on other text."""

    def __init__(self, text: str) -> None:
        self.rest = text

    def prompt(self) -> Expression | None:
        if self._take(FIND):
            tree = self._operand()
        elif any(self._take(start) for start in STARTS):
            tree = self._operand()
            while tree is not None and self._take(", "):
                tree = self._move(tree)
        else:
            return None
        return tree if self._take(".") else None

    def _move(self, tree: Expression) -> Expression | None:
        if self._take(DOUBLE):
            return Binary("*", tree, 2)
        for move in MOVES:
            if self._take(move.words):
                return _binary(move, tree, self._operand())
        return None

    def _operand(self) -> Expression | None:
        if self._take(TWICE):
            return _binary(_Phrase(TWICE, "*"), 2, self._operand())
        for noun in NOUNS:
            if self._take(noun.words):
                first = self._operand()
                return _binary(noun, first, self._operand()) if self._take(AND) else None
        number = self._number()
        for phrase in BETWEEN_NUMBERS:
            if number is not None and self._take(phrase.words):
                return _binary(phrase, number, self._number())
        return number

    def _number(self) -> int | None:
        match = re.match(r"[0-9]{1,9}", self.rest)
        if match is None:
            return None
        self.rest = self.rest[match.end() :]
        return int(match[0])

    def _take(self, words: str) -> bool:
        found = self.rest.startswith(words)
        if found:
            self.rest = self.rest[len(words) :]
        return found


def _binary(phrase: _Phrase, first: Expression | None, second: Expression | None) -> Binary | None:
    if first is None or second is None:
        return None
    if phrase.swapped:
        first, second = second, first
    return Binary(phrase.operator, first, second)
