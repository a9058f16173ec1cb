"""ProcessBench: find the first wrong step of a solution (Zheng et al. 2024, arXiv 2412.06559).

Labels are 0-based, -1 for a right solution. A verifier sees the steps one after another and is
stopped at the first that it calls wrong; what comes after decides nothing. F1 is the harmonic mean
of the accuracies on wrong and on right solutions; the average over subsets is unweighted. For
discriminative PRMs the paper chooses the score below which a step is wrong as the one that is best
on GSM8K: then every step is scored first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
from pydantic import BaseModel, ConfigDict, ValidationError

from tts.again import again
from tts.budget.meter import Meter
from tts.errors import ConfigError
from tts.seeds import node_seed
from tts.types import FREE, Cost, Finish, Judgement, Problem, Step
from tts.verifier import RIGHT_FROM, Case, Verifier
from tts_benchmarks.report import Cell, Report
from tts_benchmarks.statistics import FirstErrors, f1_score, first_errors


class Item(BaseModel):
    """One solution, in the fields of the released files."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    problem: str
    steps: tuple[str, ...]
    label: int
    subset: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a verifier made of an item."""

    scores: tuple[float | None, ...]
    """P(right) of the steps that were judged, 0..1; None: it abstained."""
    judgements: tuple[Judgement, ...]
    cost: Cost

    def first_error(self, threshold: float = RIGHT_FROM) -> int | None:
        """0-based; -1: none; None: it abstained on a step that nobody called wrong before.

        A step is wrong whose score is below `threshold`, which was not above `examine`'s `until`.
        """
        for number, score in enumerate(self.scores):
            if score is None:
                return None  # whatever follows, this step has no verdict
            if score < threshold:
                return number
        return -1


def read(path: Path) -> list[Item]:
    """Items of a JSON array or of JSON lines; the file's name is the subset where none is given.

    Raises:
        ConfigError: the file cannot be read, or a line is not an item.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from None
    try:
        rows = (
            json.loads(text)
            if text.lstrip().startswith("[")
            else [json.loads(line) for line in text.splitlines() if line.strip()]
        )
        return [Item.model_validate({"subset": path.stem, **row}) for row in rows]
    except (ValueError, TypeError, ValidationError) as error:
        raise ConfigError(f"{path} holds something that is no ProcessBench item: {error}") from None


async def examine(verifier: Verifier, item: Item, seed: int, until: float = RIGHT_FROM) -> Finding:
    """Judge the steps of `item` until one scores below `until`; 0: all of them.

    A verdict that is lost with its engine is asked for again, and its cost booked at its bound.
    """
    problem = Problem(item.id, item.problem)
    steps = tuple(Step(text, finish=Finish.STEP) for text in item.steps)
    judged: tuple[Judgement | None, ...] = ()
    meter = Meter()
    for number in range(len(steps)):
        seeds = (node_seed(seed, item.id, (0,) * (number + 1)),)
        case = Case(problem, steps[: number + 1], judged, seeds)
        (verdict,) = await again(partial(verifier.judge, case, meter), lambda lost: None)
        judged = (*judged, verdict)
        if verdict is not None and verdict.score is not None and verdict.score < until:
            break
    scores = tuple(None if each is None else each.score for each in judged)
    return Finding(scores, tuple(each for each in judged if each is not None), meter.cost)


async def examine_all(
    verifier: Verifier,
    items: Sequence[Item],
    *,
    seed: int = 0,
    until: float = RIGHT_FROM,
    at_once: int = 64,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Finding]:
    """`examine` many items side by side, the longest first, so that none is long alone in the end.

    `progress` hears how many are done.
    """
    findings: dict[int, Finding] = {}
    waiting = iter(sorted(range(len(items)), key=lambda index: -len(items[index].steps)))

    async def work() -> None:
        for index in waiting:
            findings[index] = await examine(verifier, items[index], seed, until)
            progress(len(findings))

    async with anyio.create_task_group() as group:
        for _ in range(min(at_once, len(items))):
            group.start_soon(work)
    return [findings[index] for index in range(len(items))]


def scores(
    items: Iterable[Item], findings: Iterable[Finding], threshold: float = RIGHT_FROM
) -> dict[str, FirstErrors]:
    """Accuracies and F1 of each subset, in the order of their first item."""
    subsets: dict[str, tuple[list[int], list[int | None]]] = {}
    for item, finding in zip(items, findings, strict=True):
        truth, found = subsets.setdefault(item.subset, ([], []))
        truth.append(item.label)
        found.append(finding.first_error(threshold))
    return {name: first_errors(*both) for name, both in subsets.items()}


def best_threshold(items: Sequence[Item], findings: Sequence[Finding]) -> float:
    """That of `THRESHOLDS` with the highest F1 on these items, the nearest to 1/2 among equals.

    Raises:
        ValueError: one kind of solutions is missing.
    """
    truth = [item.label for item in items]

    def merit(threshold: float) -> tuple[float, float]:
        found = [finding.first_error(threshold) for finding in findings]
        return f1_score(truth, found), -abs(threshold - RIGHT_FROM)

    return max(THRESHOLDS, key=merit)


THRESHOLDS = (0.01, 0.02, *(step / 20 for step in range(1, 20)), 0.98, 0.99)
"""Scores below which a step may be taken for wrong."""

COLUMNS = ("verifier", "subset", "wrong solutions", "right solutions", "F1", "abstained", "tokens")


def rows(
    name: str,
    items: Sequence[Item],
    findings: Sequence[Finding],
    threshold: float = RIGHT_FROM,
) -> list[tuple[Cell, ...]]:
    """A row a subset, and their unweighted average."""
    found = scores(items, findings, threshold)
    table: list[tuple[Cell, ...]] = []
    for subset, score in found.items():
        mine = [f for item, f in zip(items, findings, strict=True) if item.subset == subset]
        abstained = sum(finding.first_error(threshold) is None for finding in mine)
        tokens = sum((finding.cost for finding in mine), FREE).output_tokens / len(mine)
        table.append((name, subset, score.wrong, score.right, score.f1, abstained, round(tokens)))
    if len(found) > 1:
        average = sum(score.f1.mean for score in found.values()) / len(found)
        table.append((name, "average", None, None, average, None, None))
    return table


def report(title: str, table: Sequence[tuple[Cell, ...]]) -> Report:
    """The table of one or several verifiers."""
    notes = (
        "Wrong: the first wrong step is named exactly. Right: no error is seen. Intervals: 95 %,",
        "bootstrap over solutions. Tokens: output tokens a solution, all votes together.",
    )
    return Report(title, COLUMNS, tuple(table), notes)
