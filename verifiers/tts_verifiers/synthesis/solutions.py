"""Solutions in files: JSON lines, checked as they are read.

A solution to be labelled is `{"problem": ..., "answer": ..., "steps": [...]}`; a labelled one has
`labels`, a boolean for each step, and may have `pass_rate`, successes and rollouts from nothing.
`id` names a solution for ever (its line number if left out), `problem_id` its problem (made of its
text if left out). Whatever else a row carries is not looked at: data sets carry what they like.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

from tts.errors import ConfigError
from tts.types import Problem
from tts_verifiers.synthesis.progress import Estimate


@dataclass(frozen=True, slots=True)
class Solution:
    """A whole solution of a problem whose answer is known."""

    id: str
    problem: Problem
    steps: tuple[str, ...]
    """At least one; none is empty."""

    @property
    def digest(self) -> str:
        """Another one for another content."""
        return _digest([self.problem.prompt, self.problem.answer, self.steps])


@dataclass(frozen=True, slots=True)
class Labelled:
    """A solution and what is known of its steps."""

    solution: Solution
    labels: tuple[bool, ...]
    """For each step whether it is right."""
    pass_rate: Estimate | None = None
    """MC(s_1); None if nobody tried."""

    @property
    def digest(self) -> str:
        """Another one for another content."""
        return _digest([self.solution.digest, self.labels, self.unsolved])

    @property
    def unsolved(self) -> bool:
        """Whether rollouts were made from nothing and all failed."""
        return self.pass_rate is not None and not self.pass_rate.successes


def read_solutions(lines: Iterable[str]) -> list[Solution]:
    """Parse lines of JSON; empty ones are skipped.

    Raises:
        ConfigError: a line is no solution, an id occurs twice, or one problem's id stands for two.
    """
    return [solution for _, solution in _read(lines)]


def read_labelled(lines: Iterable[str]) -> list[Labelled]:
    """As `read_solutions`, for solutions with labels."""
    found: list[Labelled] = []
    for row, solution in _read(lines):
        if row.labels is None or len(row.labels) != len(solution.steps):
            count = "no" if row.labels is None else str(len(row.labels))
            raise ConfigError(
                f"solution {solution.id!r} has {count} labels for {len(solution.steps)} steps"
            )
        rate = None if row.pass_rate is None else Estimate(*row.pass_rate)
        found.append(Labelled(solution, tuple(row.labels), rate))
    return found


@dataclass(frozen=True)
class _Row:
    problem: str
    steps: list[str]
    answer: str | None = None
    id: str | int | None = None
    problem_id: str | int | None = None
    labels: list[bool] | None = None
    pass_rate: tuple[int, int] | None = None


def _read(lines: Iterable[str]) -> list[tuple[_Row, Solution]]:
    found: list[tuple[_Row, Solution]] = []
    problems: dict[str, Problem] = {}
    ids: set[str] = set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row = _parsed(number, line)
        solution = _solution(number, row)
        if solution.id in ids:
            raise ConfigError(f"line {number}: the id {solution.id!r} occurs twice")
        if problems.setdefault(solution.problem.id, solution.problem) != solution.problem:
            raise ConfigError(f"line {number}: another problem has id {solution.problem.id!r} too")
        ids.add(solution.id)
        found.append((row, solution))
    if not found:
        raise ConfigError("there are no solutions in the file")
    return found


def _parsed(number: int, line: str) -> _Row:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(_Row).validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        about = f"{where}: " if where else ""
        raise ConfigError(f"line {number}: {about}{first['msg'].lower()}") from None


def _solution(number: int, row: _Row) -> Solution:
    if not row.problem.strip():
        raise ConfigError(f"line {number}: the problem is empty")
    if not row.steps or not all(step.strip() for step in row.steps):
        raise ConfigError(f"line {number}: steps must be a list of texts, none of them empty")
    name = _digest([row.problem]) if row.problem_id is None else str(row.problem_id)
    problem = Problem(name, row.problem, row.answer)
    return Solution(str(number if row.id is None else row.id), problem, tuple(row.steps))


def _digest(content: object) -> str:
    return blake2b(json.dumps(content).encode(), digest_size=8).hexdigest()
