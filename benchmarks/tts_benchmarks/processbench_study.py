"""ProcessBench of verifiers side by side, on files in its format or on natural nano solutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tts.config import make
from tts.engine import Engine
from tts.errors import ConfigError, unknown
from tts.registry import load
from tts.spec import parse
from tts.strategy import at_least
from tts.study import Stage, Study
from tts.types import RIGHT_FROM
from tts.verifier import Verifier, opened
from tts_benchmarks.nano_solutions import solutions
from tts_benchmarks.processbench import (
    Finding,
    Item,
    best_threshold,
    examine_all,
    read,
    report,
    rows,
)
from tts_benchmarks.report import Cell, Report, families
from tts_nano.problems import FAMILIES, Split


@dataclass(frozen=True)
class ProcessBench:
    """Each verifier judges the same solutions, in conversations that run side by side."""

    verifiers: str = "genprm-nano"  # specs, one after another, parted by spaces
    files: str = ""  # parted by commas; empty: natural solutions of the nano policy
    each: int = 300  # wrong and right solutions of each nano family
    families: str = ",".join(FAMILIES)
    split: Split = "test"
    policy: str = "nano"
    threshold: str = ""  # a subset to choose it on, for each verifier; empty: 0.5
    at_once: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(1, each=self.each, at_once=self.at_once)
        at_least(0, seed=self.seed)
        subsets = families(self.families, FAMILIES)
        if not self.verifiers.split():
            raise ConfigError("verifiers='' names none")
        for spec in self.verifiers.split():
            load("verifiers", parse(spec).name)
        if not self.files:
            self._check_threshold(subsets)

    async def run(self, study: Study) -> Report:
        """Find first errors."""
        items = await self._items(study)
        if not items:
            raise ConfigError("there are no solutions to judge")
        self._check_threshold(list(dict.fromkeys(item.subset for item in items)))
        specs = self.verifiers.split()
        found = await study.wave([self._stage(spec, items) for spec in specs])
        table: list[tuple[Cell, ...]] = []
        for spec, each in zip(specs, found, strict=True):
            threshold = self._threshold(items, each)
            name = f"{spec} below {threshold:g}" if self.threshold else spec
            table += rows(name, items, each, threshold)
        source = self.files or f"natural solutions of {self.policy}, split {self.split}"
        return report(f"ProcessBench: {source}", table)

    def _check_threshold(self, subsets: Sequence[str]) -> None:
        if self.threshold and self.threshold not in subsets:
            raise unknown("subset to choose the threshold on", self.threshold, subsets)

    def _threshold(self, items: Sequence[Item], findings: Sequence[Finding]) -> float:
        """The score below which a step is wrong."""
        if not self.threshold:
            return RIGHT_FROM
        chosen = [
            pair for pair in zip(items, findings, strict=True) if pair[0].subset == self.threshold
        ]
        return best_threshold(*zip(*chosen, strict=True))

    def _stage(self, spec: str, items: Sequence[Item]) -> Stage[Item, Finding]:
        async def work(some: Sequence[Item], tell: Callable[[], None]) -> list[Finding]:
            verifier: Verifier = make("verifiers", spec)
            async with opened(verifier):
                findings = await examine_all(
                    verifier,
                    some,
                    seed=self.seed,
                    until=0.0 if self.threshold else RIGHT_FROM,
                    at_once=self.at_once,
                    progress=lambda _: tell(),
                )
            return [replace(finding, judgements=()) for finding in findings]

        return Stage(spec, items, Finding, work)

    async def _items(self, study: Study) -> list[Item]:
        if self.files:
            return [item for name in self.files.split(",") for item in read(Path(name))]
        items: list[Item] = []
        for family in families(self.families, FAMILIES):
            name = f"solutions: {family}"

            async def draw(family: str = family, name: str = name) -> list[Item]:
                async with Engine(self.policy, seed=self.seed) as engine:
                    return await solutions(
                        engine, family, self.each, self.split, progress=partial(study, name)
                    )

            items += await study.same(name, list[Item], draw)
        return items
