"""Report: what a benchmark found, as a table for people and as data for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tts.errors import ConfigError, unknown
from tts_benchmarks.statistics import Estimate

Cell = str | int | float | Estimate | None


@dataclass(frozen=True, slots=True)
class Report:
    """A table, and what a reader must know about it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """The table in fixed columns."""
        cells = [self.columns, *[tuple(_show(cell) for cell in row) for row in self.rows]]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in cells
        ]
        return "\n".join([self.title, "", *lines, "", *self.notes])

    def data(self) -> list[dict[str, object]]:
        """One object a row; an estimate becomes `{"mean", "low", "high", "problems"}`."""
        return [
            {name: _plain(cell) for name, cell in zip(self.columns, row, strict=True)}
            for row in self.rows
        ]


def _show(cell: Cell) -> str:
    if cell is None:
        return "-"
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def _plain(cell: Cell) -> object:
    if isinstance(cell, Estimate):
        return {
            "mean": cell.mean,
            "low": cell.low,
            "high": cell.high,
            "problems": cell.problems,
        }
    return cell


def levels(text: str, allowed: Sequence[int]) -> list[int]:
    """Levels as people write them: `4`, `1-7`, `1,3,5`.

    Raises:
        ConfigError: there are no such levels.
    """
    chosen: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        try:
            meant = list(range(int(first), int(last or first) + 1))
        except ValueError:
            meant = []
        if not meant or not set(meant) <= set(allowed):
            raise ConfigError(
                f"levels={text!r}: there are {allowed[0]} to {allowed[-1]}, and {part!r} is "
                "none of them; write 4, 1-7 or 1,3"
            )
        chosen += meant
    return chosen


def families(text: str, allowed: Sequence[str]) -> list[str]:
    """Families of problems, parted by commas.

    Raises:
        ConfigError: there is no such family.
    """
    chosen = text.split(",")
    for family in chosen:
        if family not in allowed:
            raise unknown("family", family, allowed)
    return chosen
