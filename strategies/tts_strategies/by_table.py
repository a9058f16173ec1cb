"""Compute-optimal scaling by a table (Snell et al. 2024, sec. 3.2; Liu et al. 2025).

A few samples tell how hard the problem is: the share of them that agree on one answer. A table made
beforehand (`tts bench nano_table --out FILE`) says which strategy was best at this budget on
problems as hard, and that goes on. The first samples are paid for and stay candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from tts.strategy import SNELL, ConfigError, Node, Paper, Search, Table, agreement, at_least

LIU = Paper(
    "Can 1B LLM Surpass 405B LLM? Rethinking Compute-Optimal Test-Time Scaling",
    ("Runze Liu", "Junqi Gao", "Jian Zhao", "Kaiyan Zhang", "others"),
    2025,
    arxiv="2502.06703",
)


@dataclass(frozen=True)
class ByTable:
    """`pilot` samples, or a known agreement in [0, 1], then what the table at `path` advises."""

    path: str
    pilot: int = 4
    agreement: float | None = None
    needs_verifier: ClassVar[bool] = False
    papers: ClassVar = (SNELL, LIU)

    def __post_init__(self) -> None:
        at_least(2, pilot=self.pilot)
        if self.agreement is not None and not 0 <= self.agreement <= 1:
            raise ConfigError(f"agreement={self.agreement} must be in [0, 1]")
        _ = self.table  # read once, for all problems

    @cached_property
    def table(self) -> Table:
        """What decides."""
        return Table.load(self.path)

    async def run(self, search: Search) -> None:
        agreed = self.agreement
        if agreed is None:
            agreed = await self._look(search)
        chosen = self.table.choose(search.limits, agreed)
        search.explain(
            chosen.strategy,
            f"right in {chosen.accuracy:.2f} of problems on which {chosen.least:.2f} to "
            f"{chosen.most:.2f} of samples agree, as {agreed:.2f} do here, for "
            f"{chosen.budget:g} {chosen.unit}",
        )
        await search.follow(chosen.strategy)

    async def _look(self, search: Search) -> float:
        ends: list[Node] = []

        async def sample() -> None:
            ends.append(await search.complete(search.root, judge=False))

        await search.spread(sample, self.pilot)
        ends.sort(key=lambda node: node.key)
        return agreement([await search.answer_class(end) for end in ends])
