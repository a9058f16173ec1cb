"""Measure a policy on held-out problems: one sample, a vote, and the best of many.

    python -m training.evaluate WEIGHTS --problems 60

Prints a table per family and level, and which operations go wrong. Draws from `dev`; `test` is for
final evaluations and is not offered here.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from training.model import load
from training.sample import Sampler
from training.tokenizer import TURN_END
from tts_nano.problems import (
    DELIMITER,
    FAMILIES,
    LEVELS,
    NanoProblem,
    answer_of,
    claim,
    generate,
    label,
)

ROWS = 256
"""Solutions that decode together."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The solutions sampled for one problem."""

    problem: NanoProblem
    solutions: list[str]
    tokens: int
    """Output tokens of all solutions."""

    @property
    def right(self) -> list[bool]:
        """For every solution, whether its answer is the problem's."""
        return [answer_of(text) == self.problem.answer for text in self.solutions]

    @property
    def majority_right(self) -> bool:
        """Whether the most frequent answer (the earliest of equals) is the problem's."""
        answers = [answer for text in self.solutions if (answer := answer_of(text)) is not None]
        return bool(answers) and Counter(answers).most_common(1)[0][0] == self.problem.answer


def attempt(
    problems: Sequence[NanoProblem], weights: Path, samples: int, seed: int, longest: int = 800
) -> list[Attempt]:
    """Sample solutions at temperature 1, in the order of the problems."""
    tokenizer = Tokenizer.from_file(str(weights / "tokenizer.json"))
    sampler = Sampler(load(weights), tokenizer.get_vocab()[TURN_END], longest)
    generator = torch.Generator().manual_seed(seed)
    attempts = []
    together = max(1, ROWS // samples)
    for start in range(0, len(problems), together):
        group = problems[start : start + together]
        prompts = [
            tokenizer.encode(
                f"<|im_start|>user\n{each.prompt}{TURN_END}\n<|im_start|>assistant\n"
            ).ids
            for each in group
        ]
        outputs = sampler.sample(prompts, samples, generator)
        for problem, sampled in zip(group, outputs, strict=True):
            texts = [tokenizer.decode(ids, skip_special_tokens=False) for ids in sampled]
            attempts.append(Attempt(problem, texts, sum(map(len, sampled))))
    return attempts


def row(attempts: Sequence[Attempt]) -> str:
    """pass@1, pass@n, majority@n, output tokens per solution, and standard error of pass@1."""
    count = len(attempts)
    shares = [sum(each.right) / len(each.right) for each in attempts]
    one = sum(shares) / count
    error = (sum((share - one) ** 2 for share in shares) / count / max(1, count - 1)) ** 0.5
    best = sum(any(each.right) for each in attempts) / count
    vote = sum(each.majority_right for each in attempts) / count
    tokens = sum(each.tokens for each in attempts) / sum(len(each.right) for each in attempts)
    return f"{one:.2f} ± {error:.2f} | {best:.2f} | {vote:.2f} | {tokens:.0f}"


def first_errors(attempts: Sequence[Attempt]) -> dict[str, tuple[int, int]]:
    """How often each kind of step was tried after a right prefix, and how often it went wrong.

    A kind is the operation with the digits of its operands (`* 1x3`), `translation`, `answer` or
    `unreadable`; a rewrite that loses the value although the operation is right counts under
    `rewrite` as well.
    """
    tried: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for each in attempts:
        for text in each.solutions:
            steps = text.split(DELIMITER)
            for step, right in zip(steps, label(each.problem, steps), strict=True):
                found = claim(step)
                kind: str = "unreadable" if found is None else found.kind
                if found is not None and found.left is not None:
                    a, operator, b = found.left.split(" ")
                    kind = f"{operator} {'x'.join(map(str, sorted((len(a), len(b)))))}"
                    tried["rewrite"] += 1
                    wrong["rewrite"] += not right and found.arithmetic_holds()
                tried[kind] += 1
                wrong[kind] += not right
                if not right:
                    break
    return {kind: (wrong[kind], tried[kind]) for kind in tried}


def main() -> None:
    """Print the table from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--problems", type=int, default=60, help="per family and level")
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--first-seed", type=int, default=0, help="of the dev problems")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES))
    parser.add_argument("--levels", nargs="+", type=int, default=list(LEVELS))
    parser.add_argument("--rollouts", type=Path, help="write all solutions as JSON lines")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    n, started = arguments.samples, time.monotonic()
    everything: dict[str, list[Attempt]] = defaultdict(list)
    print(f"| family | level | pass@1 | pass@{n} | majority@{n} | tokens |")
    print("|---|---|---|---|---|---|")
    for family in arguments.families:
        for level in arguments.levels:
            seeds = range(arguments.first_seed, arguments.first_seed + arguments.problems)
            problems = [generate(family, level, seed, "dev") for seed in seeds]
            attempts = attempt(problems, arguments.weights, n, seed=level)
            everything[family] += attempts
            print(f"| {family} | {level} | {row(attempts)} |", flush=True)
    for family, attempts in everything.items():
        counts = sorted(first_errors(attempts).items(), key=lambda item: -item[1][0])
        listed = ", ".join(f"{kind} {w}/{t} ({w / t:.3f})" for kind, (w, t) in counts[:14])
        print(f"\n{family}, wrong of tried steps: {listed}")
    print(f"\n{time.monotonic() - started:.0f} seconds")
    if arguments.rollouts is not None:
        with arguments.rollouts.open("w") as file:
            for each in (one for attempts in everything.values() for one in attempts):
                file.write(json.dumps({"id": each.problem.id, "solutions": each.solutions}) + "\n")


if __name__ == "__main__":
    main()
