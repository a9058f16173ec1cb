"""Synthetic slips: a right solution with one step made wrong, for the start of training.

Real mistakes of the policy are what the verifier is trained on and measured by. These only widen
what it has seen: every kind of step, wrong in values, in rewriting and in reading.
"""

from __future__ import annotations

import random
import re

from training.verifier.conversation import Solved
from tts_nano.problems import NanoProblem, claim, label

_NUMBER = re.compile(r"[0-9]+")


def with_slip(problem: NanoProblem, steps: list[str], rng: random.Random) -> Solved:
    """The solution up to the slip; whole where the change made nothing wrong."""
    index = rng.randrange(len(steps))
    changed = [*steps[:index], _changed(steps[index], rng)]
    labels = label(problem, changed)
    if all(labels):
        return Solved(problem, tuple(steps), None)
    wrong = labels.index(False)
    return Solved(problem, tuple(changed[: wrong + 1]), wrong)


def _changed(step: str, rng: random.Random) -> str:
    found = claim(step)
    if found is not None and found.right is not None and rng.random() < 0.7:
        wrong = slipped(found.right, rng)
        head, tail = step.split(" = ", 1)
        tail = tail.replace(found.right, wrong, 1)
        first, _, rest = tail.partition(", so ")
        pattern = rf"(?<![0-9]){re.escape(found.right)}(?![0-9])"
        return f"{head} = {first}, so {re.sub(pattern, wrong, rest, count=1)}"
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
