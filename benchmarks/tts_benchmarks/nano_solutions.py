"""Nano solutions: a ProcessBench of the embedded policy's own, natural errors, labelled exactly.

Solutions are sampled from the policy on held-out problems, and every step is checked by the problem
family itself. At most two solutions of a problem and kind are taken, so that a few hard problems do
not fill the bench.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tts.engine import Engine
from tts.types import Problem
from tts_benchmarks.processbench import Item
from tts_nano.problems import LEVELS, NanoProblem, Split, generate, label
from tts_strategies.best_of_n import BestOfN

_BATCH = 64  # problems sampled together
_SAMPLES = 4
_ALIKE = 2  # solutions of one problem and kind


async def solutions(
    engine: Engine,
    family: str,
    each: int,
    split: Split = "test",
    *,
    first_seed: int = 100_000,
    progress: Callable[[float], None] = lambda share: None,
) -> list[Item]:
    """`each` wrong and `each` right solutions of a family, all levels in turn.

    Seeds count from `first_seed`, apart from those of other studies on the same split.
    """
    kept: dict[bool, list[Item]] = {True: [], False: []}
    seed = first_seed
    while min(len(kept[True]), len(kept[False])) < each:
        progress(min(len(kept[True]), len(kept[False])) / each)
        asked = [
            generate(family, LEVELS[number % len(LEVELS)], number, split)
            for number in range(seed, seed + _BATCH)
        ]
        seed += _BATCH
        results = await engine.solve_all(
            [Problem(problem.id, problem.prompt) for problem in asked],
            BestOfN(n=_SAMPLES),
            at_once=_BATCH,
        )
        for problem, result in zip(asked, results, strict=True):
            texts = {candidate.text for candidate in result.candidates if candidate.answer}
            for item in _items(problem, sorted(texts)):
                kind = item.label < 0
                if len(kept[kind]) < each:
                    kept[kind].append(item)
    return [*kept[False], *kept[True]]


def _items(problem: NanoProblem, texts: list[str]) -> list[Item]:
    """The solutions as items, at most `_ALIKE` of a kind."""
    kinds: Counter[bool] = Counter()
    items = []
    for number, text in enumerate(texts):
        steps = tuple(step for step in text.split("\n\n") if step)
        right = label(problem, steps)
        first_error = right.index(False) if False in right else -1
        kinds[first_error < 0] += 1
        if kinds[first_error < 0] <= _ALIKE:
            items.append(
                Item(
                    id=f"{problem.id}/{number}",
                    problem=problem.prompt,
                    steps=steps,
                    label=first_error,
                    subset=problem.family,
                )
            )
    return items
