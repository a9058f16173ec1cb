"""Measure a verifier on natural mistakes of the policy, as ProcessBench does.

    python -m training.verifier.evaluate WEIGHTS ROLLOUTS.jsonl --solutions 100

ROLLOUTS holds solutions of `dev` problems (`training.verifier.rollouts --split dev`). Per family as
many wrong solutions as right ones; error accuracy is the share of wrong ones whose first wrong step
is found, correct accuracy the share of right ones found right, F1 their harmonic mean. The code is
run by `execute`, the product's sandbox does the same.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import torch
from tokenizers import Tokenizer

from training.model import load
from training.verifier.conversation import Solved
from training.verifier.judge import Judge, Judged, Way
from training.verifier.rollouts import read
from tts_nano.problems import FAMILIES


def choose(rollouts: Sequence[Solved], each: int, levels: Sequence[int]) -> list[Solved]:
    """Per family `each` wrong and `each` right solutions, at most one of a kind per problem."""
    order = list(rollouts)
    random.Random("verifier evaluation").shuffle(order)
    count: Counter[tuple[str, bool]] = Counter()
    seen = set()
    chosen = []
    for solved in order:
        kind = (solved.problem.family, solved.wrong is None)
        key = (solved.problem.id, solved.wrong is None)
        if count[kind] < each and key not in seen and solved.problem.level in levels:
            seen.add(key)
            count[kind] += 1
            chosen.append(solved)
    return chosen


def f1(judged: Sequence[Judged]) -> tuple[float, float, float]:
    """Error accuracy, correct accuracy and F1, each 0..1."""
    hits: dict[bool, list[bool]] = {True: [], False: []}
    for each in judged:
        hits[each.solved.wrong is None].append(each.wrong == each.solved.wrong)
    error, correct = (sum(hits[kind]) / max(1, len(hits[kind])) for kind in (False, True))
    return error, correct, 2 * error * correct / max(error + correct, 1e-9)


def f1_error(judged: Sequence[Judged], draws: int = 200) -> float:
    """Standard error of F1, by bootstrap over solutions."""
    rng = random.Random(0)
    values = [f1(rng.choices(judged, k=len(judged)))[2] for _ in range(draws)]
    mean = sum(values) / draws
    return float((sum((value - mean) ** 2 for value in values) / draws) ** 0.5)


def report(name: str, judged: Sequence[Judged]) -> None:
    """Print a row per family, and one for all."""
    for family in (*FAMILIES, "all"):
        chosen = [each for each in judged if family in (each.solved.problem.family, "all")]
        if not chosen:
            continue
        error, correct, both = f1(chosen)
        tokens = sum(each.tokens for each in chosen) / len(chosen)
        print(
            f"| {name} | {family} | {error:.3f} | {correct:.3f} | {both:.3f} ±"
            f" {f1_error(chosen):.3f} | {tokens:.0f} |",
            flush=True,
        )


def main() -> None:
    """Print the tables from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("rollouts", type=Path, nargs="+")
    parser.add_argument("--solutions", type=int, default=60, help="wrong ones per family")
    parser.add_argument("--voted", type=int, default=None, help="the same for votes")
    parser.add_argument("--ways", nargs="+", choices=get_args(Way), default=list(get_args(Way)))
    parser.add_argument("--vote-ways", nargs="*", choices=get_args(Way), default=["code"])
    parser.add_argument("--votes", nargs="*", type=int, default=[1, 8])
    parser.add_argument("--levels", nargs="+", type=int, default=[1, 2, 3, 4, 5, 6, 7])
    parser.add_argument("--details", type=Path, help="write mistakes as JSON lines")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load(arguments.weights)
    tokenizer = Tokenizer.from_file(str(arguments.weights / "tokenizer.json"))
    rollouts = [each for path in arguments.rollouts for each in read(path)]
    solutions = choose(rollouts, arguments.solutions, arguments.levels)
    fewer = choose(rollouts, arguments.voted or arguments.solutions, arguments.levels)
    started = time.monotonic()
    print(f"{sum(each.wrong is not None for each in solutions)} wrong of {len(solutions)}")
    print("| way | family | error acc. | correct acc. | F1 | tokens |")
    print("|---|---|---|---|---|---|")
    mistakes = []
    for way in arguments.ways:
        judged = Judge(model, tokenizer, way).judge(solutions)
        report(f"{way}, greedy", judged)
        mistakes += [(way, each) for each in judged if each.wrong != each.solved.wrong]
    for way in arguments.vote_ways:
        for votes in arguments.votes:
            judged = Judge(model, tokenizer, way, votes, 1.0, seed=votes).judge(fewer)
            report(f"{way}, T=1, Maj@{votes}", judged)
    print(f"{time.monotonic() - started:.0f} seconds")
    if arguments.details is not None:
        with arguments.details.open("w") as file:
            for name, each in mistakes:
                entry = {
                    "way": name,
                    "prompt": each.solved.problem.prompt,
                    "steps": each.solved.steps,
                    "wrong": each.solved.wrong,
                    "judged": each.wrong,
                    "last": each.critiques[-1],
                }
                file.write(json.dumps(entry) + "\n")


if __name__ == "__main__":
    main()
