"""Solutions that the policy really writes, labelled exactly and cut after their first wrong step.

    python -m training.verifier.rollouts WEIGHTS OUTPUT.jsonl --problems 5000

Draws problems of the `train` split, mostly of middle levels, and samples at temperature 1. A line
of the file is one distinct solution: the problem, the steps, the index of the first wrong one. The
problem stands there in full, so that a file outlives changes to the levels.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import torch

from training.evaluate import Attempt, attempt
from training.verifier.conversation import Solved
from tts_nano.problems import (
    DELIMITER,
    FAMILIES,
    LEVELS,
    NanoProblem,
    Split,
    generate,
    label,
)

LEVEL_WEIGHTS: Final = (1, 3, 5, 5, 4, 3, 1)
LONGEST: Final = 700
"""Most tokens of a problem and its solution."""


def solved(problem: NanoProblem, text: str) -> Solved:
    """A solution as far as it is right, and its first wrong step."""
    steps = [step.strip() for step in text.split(DELIMITER) if step.strip()]
    labels = label(problem, steps)
    if False not in labels:
        return Solved(problem, tuple(steps), None)
    wrong = labels.index(False)
    return Solved(problem, tuple(steps[: wrong + 1]), wrong)


def finished(found: Solved) -> bool:
    """Whether there is something to judge: a wrong step, or a whole right solution."""
    if found.wrong is not None:
        return True
    return bool(found.steps) and "\\boxed{" in found.steps[-1]


def distinct(attempts: Sequence[Attempt]) -> Iterator[Solved]:
    """Every finished solution once."""
    for each in attempts:
        seen = set()
        for text in each.solutions:
            found = solved(each.problem, text)
            if finished(found) and found.steps not in seen:
                seen.add(found.steps)
                yield found


def draw(count: int, split: Split, seed: int, easiest: int = 1) -> list[NanoProblem]:
    """Problems for rollouts, sorted so that those of one length are together."""
    rng = random.Random(f"verifier rollouts {split} {seed}")
    problems = []
    for _ in range(count):
        level = rng.choices(LEVELS[easiest - 1 :], LEVEL_WEIGHTS[easiest - 1 :])[0]
        problems.append(generate(rng.choice(FAMILIES), level, rng.randrange(100_000), split))
    unique = {each.id: each for each in problems}
    return sorted(unique.values(), key=lambda each: (each.level, each.family, each.id))


def read(path: Path) -> list[Solved]:
    """The solutions in a file, in its order."""
    found = []
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        problem = NanoProblem(**entry["problem"])
        found.append(Solved(problem, tuple(entry["steps"]), entry["wrong"]))
    return found


def main() -> None:
    """Sample from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--problems", type=int, default=5000)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--easiest", type=int, default=1, help="the lowest level drawn")
    parser.add_argument("--split", choices=("train", "dev"), default="train")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    problems = draw(arguments.problems, arguments.split, arguments.seed, arguments.easiest)
    started, right, wrong = time.monotonic(), 0, 0
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    with arguments.output.open("w") as file:
        for start in range(0, len(problems), 64):
            group = problems[start : start + 64]
            seed = arguments.seed * 1_000_000 + start
            attempts = attempt(group, arguments.weights, arguments.samples, seed, LONGEST)
            for each in distinct(attempts):
                problem = asdict(each.problem)
                entry = {"problem": problem, "steps": each.steps, "wrong": each.wrong}
                file.write(json.dumps(entry) + "\n")
                right += each.wrong is None
                wrong += each.wrong is not None
    print(f"{right} right, {wrong} wrong, {time.monotonic() - started:.0f} seconds")


if __name__ == "__main__":
    main()
