"""Synthetic slips: a solution with one step made wrong.

Real mistakes of the policy are what the verifier is measured by. Slips widen what it has seen:
every kind of step, wrong in values, in rewriting and in reading. Wild ones teach it not to copy:
where a claim is off in one digit, who copies it gets most digits of the right value; where it is
off in all of them, only who computes gets any.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Final

from training.verifier.conversation import Shown, Solved, states
from tts_nano.problems import Difficulty, NanoProblem, claim, draw, label
from tts_nano.problems.expression import operations, read, show

_NUMBER: Final = re.compile(r"[0-9]+")
DRILL: Final = (0.35, 0.35, 0.3)
"""Shares of wild slips, small ones and none among the steps of a drill."""
_ANY: Final = Difficulty(operations=0, digits=4, largest=9999, wide=0.5)
"""Of the expression that a wild slip claims instead of the right one."""


def with_slip(problem: NanoProblem, steps: Sequence[str], rng: random.Random) -> Solved:
    """The solution up to a small slip; whole where the change made nothing wrong."""
    return _changed_at(problem, steps, rng.randrange(len(steps)), _slip, rng)


def with_wild_slip(problem: NanoProblem, steps: Sequence[str], rng: random.Random) -> Solved:
    """The solution up to a step whose claim has nothing to do with the right one."""
    return _changed_at(problem, steps, rng.randrange(len(steps)), _wild_slip, rng)


def drill(problem: NanoProblem, steps: Sequence[str], rng: random.Random) -> list[Shown]:
    """A right solution put step by step, most steps with a slip, each after the right state.

    No solution goes on like this after a mistake. It trains the analysis, which says what the right
    state is: two of three claims beside it are wrong, and not the last one alone.
    """
    exchanges = []
    for index, (step, state) in enumerate(zip(steps, states(steps), strict=True)):
        change = rng.choices((_wild_slip, _slip, _nothing), DRILL)[0]
        put = change(step, rng)
        right = label(problem, [*steps[:index], put])[-1]
        exchanges.append(Shown(put, state, right))
    return exchanges


def _nothing(step: str, _: random.Random) -> str:
    return step


def _changed_at(
    problem: NanoProblem,
    steps: Sequence[str],
    index: int,
    change: Callable[[str, random.Random], str],
    rng: random.Random,
) -> Solved:
    changed = [*steps[:index], change(steps[index], rng)]
    labels = label(problem, changed)
    if all(labels):
        return Solved(problem, tuple(steps), None)
    wrong = labels.index(False)
    return Solved(problem, tuple(changed[: wrong + 1]), wrong)


def _slip(step: str, rng: random.Random) -> str:
    found = claim(step)
    if found is not None and found.right is not None and rng.random() < 0.7:
        return _with_value(step, found.right, slipped(found.right, rng))
    kind = rng.random()
    start = step.find(", so ") + 1 if kind < 0.8 else 0
    numbers = list(_NUMBER.finditer(step, start))
    operators = list(re.finditer(r" [-+*] ", step[start:]))
    if kind < 0.3 and operators:
        match = rng.choice(operators)
        place = start + match.start() + 1
        others = [each for each in "+-*" if each != step[place]]
        return step[:place] + rng.choice(others) + step[place + 1 :]
    if kind < 0.45 and len(numbers) > 1:
        a, b = sorted(rng.sample(numbers, 2), key=lambda match: match.start())
        return step[: a.start()] + b[0] + step[a.end() : b.start()] + a[0] + step[b.end() :]
    if kind < 0.6 and "(" in step:
        return step.replace("(", "").replace(")", "")
    if not numbers:
        return step
    match = rng.choice(numbers)
    return step[: match.start()] + slipped(match[0], rng) + step[match.end() :]


def _wild_slip(step: str, rng: random.Random) -> str:
    found = claim(step)
    if found is None:
        return step
    if found.right is not None:
        return _with_value(step, found.right, _any_number(found.right, rng))
    if found.kind == "answer":
        return step.replace(found.state, _any_number(found.state, rng))
    tree = read(found.state)
    if tree is None:
        return step
    numbers = _NUMBER.findall(found.state)
    other, _ = draw.expression(operations(tree), _ANY, rng)
    if rng.random() < 0.5:
        # The same numbers in another expression: nothing to be told by but reading.
        rng.shuffle(numbers)
        return step.replace(found.state, _NUMBER.sub(lambda _: numbers.pop(), show(other)))
    return step.replace(found.state, show(other))


def _with_value(step: str, right: str, wrong: str) -> str:
    """The step with another value of its operation, in the state after it as well."""
    head, tail = step.split(" = ", 1)
    first, _, rest = tail.replace(right, wrong, 1).partition(", so ")
    pattern = rf"(?<![0-9]){re.escape(right)}(?![0-9])"
    return f"{head} = {first}, so {re.sub(pattern, wrong, rest, count=1)}"


def _any_number(like: str, rng: random.Random) -> str:
    """A number of about as many digits."""
    digits = max(1, len(like.lstrip("-")) + rng.choice((-1, 0, 0, 0, 0, 1)))
    return str(rng.randint(10 ** (digits - 1), 10**digits - 1))


def slipped(number: str, rng: random.Random) -> str:
    """A number a little wrong, as a careless reckoner has it."""
    digits = number.lstrip("-")
    if rng.random() < 0.5:
        place = 10 ** rng.randrange(len(digits))
        changed = abs(int(digits) + rng.choice((-1, 1)) * rng.choice((1, 1, 2)) * place)
    else:
        index = rng.randrange(len(digits))
        digit = rng.choice([each for each in "0123456789" if each != digits[index]])
        changed = int(digits[:index] + digit + digits[index + 1 :])
    return ("-" if number.startswith("-") else "") + str(changed)
