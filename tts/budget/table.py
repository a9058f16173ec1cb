"""Table: which strategy is best at a budget for problems of a difficulty, as a study has found.

Compute-optimal test-time scaling (Snell et al. 2024, sec. 3.2) chooses the strategy by a problem's
difficulty. Here difficulty is what a few samples tell: the share of them that agree on one answer.
A table is the JSON of a study such as `tts bench nano_table --out FILE`: a list of rows, of which
these members are read:

    {"strategy": "beam:n=8,width=2", "budget": "tokens=2000",
     "agreement from": 0.0, "agreement to": 0.5, "accuracy": {"mean": 0.41, ...}}
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tts.budget.budget import written
from tts.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Entry:
    """What one strategy came to, at one budget, on problems of one difficulty."""

    strategy: str
    unit: str
    budget: float
    """The limit of each problem, in `unit` (`tokens`, `flops`, ...)."""
    least: float
    most: float
    """Between which the agreement of the samples is, in [0, 1]; both ends belong to it."""
    accuracy: float


@dataclass(frozen=True, slots=True)
class Table:
    """A study's entries, at least one."""

    entries: tuple[Entry, ...]

    @classmethod
    def load(cls, path: str) -> Table:
        """Read a study's JSON; once for each path.

        Raises:
            ConfigError: there is no such file, or it is no table.
        """
        return _load(path)

    def choose(self, limits: Mapping[str, float], agreement: float) -> Entry:
        """The best entry within `limits` for problems on whose answer samples agree so much.

        Of the budgets in the table the largest that is within the limit counts, the smallest if
        none is, and the largest if there is no limit in their unit; of the difficulties that which
        is nearest. Ties go to the entry that comes first.
        """
        unit = next((each.unit for each in self.entries if each.unit in limits), None)
        of_unit = [each for each in self.entries if each.unit == (unit or self.entries[0].unit)]
        limit = math.inf if unit is None else limits[unit]
        budgets = sorted({each.budget for each in of_unit})
        budget = max((each for each in budgets if each <= limit), default=budgets[0])
        near = [each for each in of_unit if each.budget == budget]
        closest = min(_distance(each, agreement) for each in near)
        fitting = [each for each in near if _distance(each, agreement) == closest]
        return max(fitting, key=lambda each: each.accuracy)


def agreement(labels: list[int | None]) -> float:
    """Share of samples that give the most frequent answer, in [0, 1]; None is no answer.

    Samples that give none agree with nobody.
    """
    given = [label for label in labels if label is not None]
    return max(map(given.count, given), default=0) / len(labels) if labels else 0.0


def _distance(entry: Entry, value: float) -> float:
    return max(0.0, entry.least - value, value - entry.most)


@lru_cache(maxsize=64)
def _load(path: str) -> Table:
    try:
        rows = json.loads(Path(path).expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the table {path}: {error.strerror}") from None
    except ValueError:
        raise ConfigError(f"the table {path} is not JSON") from None
    if not isinstance(rows, list) or not rows:
        raise ConfigError(f"the table {path} is not a list of rows")
    return Table(tuple(_entry(path, number, row) for number, row in enumerate(rows, 1)))


def _entry(path: str, number: int, row: object) -> Entry:
    try:
        assert isinstance(row, dict)
        ((unit, budget),) = written(row["budget"]).limits().items()
        least, most = float(row["agreement from"]), float(row["agreement to"])
        accuracy = float(row["accuracy"]["mean"])
        strategy = row["strategy"]
        assert isinstance(strategy, str)
        assert 0 <= least <= most <= 1
        assert 0 <= accuracy <= 1
    except (AssertionError, KeyError, TypeError, ValueError, AttributeError, ConfigError) as error:
        why = f": {error}" if str(error) else ""
        raise ConfigError(f"{path}, row {number}: not a row of a table{why}") from None
    return Entry(strategy, unit, budget, least, most, accuracy)
