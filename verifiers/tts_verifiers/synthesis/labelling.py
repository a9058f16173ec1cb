"""Labelling: many solutions side by side, each labelled once, whatever interrupts the job.

The journal keeps counts, not labels: another rule for the same counts is a matter of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

import anyio

from tts.budget.meter import Meter
from tts.errors import ConfigError, Overlong, leaves
from tts.types import FREE, Cost, Step
from tts_verifiers.synthesis.abreast import abreast
from tts_verifiers.synthesis.journal import Journal, Record
from tts_verifiers.synthesis.progress import DEFAULT_RULE, Estimate, Rule, relative
from tts_verifiers.synthesis.rollouts import Completer, Tally
from tts_verifiers.synthesis.solutions import Solution

Encoder = Callable[[Sequence[str]], tuple[Step, ...]]
"""From a solution's texts to steps in the completer's tokens."""


@dataclass(frozen=True, slots=True)
class LabelSummary:
    """What became of all solutions. Counts add up: labelled + unsolved + too_long = solutions."""

    solutions: int = 0
    problems: int = 0
    resumed: int = 0
    """Of these solutions, those that an earlier run had done."""
    labelled: int = 0
    unsolved: int = 0
    """Of problems that no rollout solved; all their steps are labelled wrong."""
    too_long: int = 0
    """They, or their problem, do not fit the completer's context window; not in the output."""
    all_right: int = 0
    """Of the labelled ones, those without a wrong step."""
    steps: int = 0
    right_steps: int = 0
    """Of the labelled ones."""
    rollouts: int = 0
    undecided: int = 0
    """Answers that could not be compared, and count as wrong."""
    cost: Cost = FREE
    """Of everything, earlier runs included."""


async def label(
    solutions: Sequence[Solution],
    completer: Completer,
    encoder: Encoder,
    journal: Journal,
    *,
    rule: Rule = DEFAULT_RULE,
    at_once: int = 32,
    on_done: Callable[[int], None] = lambda done: None,
) -> tuple[list[dict[str, Any]], LabelSummary]:
    """Label solutions; the rows are in their order.

    Args:
        solutions: each with a problem whose answer is known.
        completer: makes the rollouts.
        encoder: see there.
        journal: what is in it is not done again.
        rule: from rates to labels.
        at_once: solutions in progress, >= 1; their rollouts are limited by the completer.
        on_done: hears how many are done.

    Raises:
        ConfigError: an argument cannot be used, or a problem has no answer.
        BackendError: the engine failed; what is done is in the journal.
    """
    for solution in solutions:
        if solution.problem.answer is None:
            raise ConfigError(f"solution {solution.id!r} has no answer to check rollouts against")
    job = _Job(completer, encoder, journal)
    records: dict[str, Record] = {}

    async def work(solution: Solution) -> None:
        records[solution.id] = await job.solution(solution)
        on_done(len(records))

    await abreast(solutions, work, at_once)
    return _rows(solutions, records, job, rule)


class _Job:
    """Does each item once: a problem before the first of its solutions."""

    def __init__(self, completer: Completer, encoder: Encoder, journal: Journal) -> None:
        self._completer = completer
        self._encoder = encoder
        self._journal = journal
        self._locks: dict[str, anyio.Lock] = {}
        self.problems: dict[str, Record] = {}
        self.resumed = 0

    async def solution(self, solution: Solution) -> Record:
        problem = await self._problem(solution)
        known = self._journal.get("solution", solution.id, solution.digest)
        if known is not None:
            self.resumed += 1
            return known
        tally = Tally(Meter())
        if "too_long" in problem:
            record: Record = {"too_long": problem["too_long"]}
        else:
            try:
                found = await self._completer.estimates(
                    solution.problem,
                    solution.id,
                    self._encoder(solution.steps),
                    Estimate(*problem["pass_rate"]).rate,
                    tally,
                )
                record = {"estimates": [_counts(estimate) for estimate in found]}
            except* Overlong as errors:
                record = {"too_long": str(leaves(errors)[0])}
        record |= _taken(tally)
        self._journal.put("solution", solution.id, solution.digest, record)
        return record

    async def _problem(self, solution: Solution) -> Record:
        """The rate at which a problem is solved, for all of its solutions."""
        problem = solution.problem
        digest = replace(solution, steps=()).digest
        async with self._locks.setdefault(problem.id, anyio.Lock()):
            if problem.id in self.problems:
                return self.problems[problem.id]
            record = self._journal.get("problem", problem.id, digest)
            if record is None:
                tally = Tally(Meter())
                record = {}
                try:
                    rate = await self._completer.pass_rate(problem, tally)
                    record = {"pass_rate": _counts(rate)}
                except* Overlong as errors:
                    record = {"too_long": str(leaves(errors)[0])}
                record |= _taken(tally)
                self._journal.put("problem", problem.id, digest, record)
            self.problems[problem.id] = record
            return record


def _rows(
    solutions: Sequence[Solution], records: dict[str, Record], job: _Job, rule: Rule
) -> tuple[list[dict[str, Any]], LabelSummary]:
    rows: list[dict[str, Any]] = []
    every = [*records.values(), *job.problems.values()]
    summary = LabelSummary(
        solutions=len(solutions),
        problems=len(job.problems),
        resumed=job.resumed,
        rollouts=sum(record["rollouts"] for record in every),
        undecided=sum(record["undecided"] for record in every),
        cost=sum((Cost(**record["cost"]) for record in every), FREE),
    )
    for solution in solutions:
        record = records[solution.id]
        if "too_long" in record:
            summary = replace(summary, too_long=summary.too_long + 1)
            continue
        pass_rate = Estimate(*job.problems[solution.problem.id]["pass_rate"])
        row = _row(solution, pass_rate, [Estimate(*each) for each in record["estimates"]], rule)
        rows.append(row)
        if not pass_rate.successes:
            summary = replace(summary, unsolved=summary.unsolved + 1)
            continue
        right = sum(row["labels"])
        summary = replace(
            summary,
            labelled=summary.labelled + 1,
            all_right=summary.all_right + (right == len(solution.steps)),
            steps=summary.steps + len(solution.steps),
            right_steps=summary.right_steps + right,
        )
    return rows, summary


def _row(
    solution: Solution, pass_rate: Estimate, estimates: Sequence[Estimate], rule: Rule
) -> dict[str, Any]:
    rates = [pass_rate.rate, *(estimate.rate for estimate in estimates)]
    return {
        "id": solution.id,
        "problem_id": solution.problem.id,
        "problem": solution.problem.prompt,
        "answer": solution.problem.answer,
        "steps": list(solution.steps),
        "pass_rate": _counts(pass_rate),
        "estimates": [_counts(estimate) for estimate in estimates],
        "progress": [None if each is None else _rounded(each) for each in relative(rates)],
        "rule": str(rule),
        "labels": list(rule.labels(rates)),
    }


def _counts(estimate: Estimate) -> list[int]:
    return [estimate.successes, estimate.rollouts]


def _rounded(number: Fraction) -> float:
    return round(float(number), 4)


def _taken(tally: Tally) -> Record:
    return {
        "rollouts": tally.rollouts,
        "undecided": tally.undecided,
        "cost": asdict(tally.meter.cost),
    }
