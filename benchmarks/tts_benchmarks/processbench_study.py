"""ProcessBench of verifiers side by side, on files in its format or on natural nano solutions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tts.config import make
from tts.engine import Engine
from tts.errors import ConfigError
from tts.verifier import Verifier, opened
from tts_benchmarks.nano_solutions import solutions
from tts_benchmarks.processbench import Item, examine_all, read, report, rows
from tts_benchmarks.report import Report
from tts_nano.problems import FAMILIES, Split

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class ProcessBench:
    """Each verifier judges the same solutions, in conversations that run side by side."""

    verifiers: str = "genprm-nano"  # specs, one after another, parted by spaces
    files: str = ""  # parted by commas; empty: natural solutions of the nano policy
    each: int = 300  # wrong and right solutions of each nano family
    families: str = ",".join(FAMILIES)
    split: Split = "test"
    policy: str = "nano"
    at_once: int = 64
    seed: int = 0

    async def run(self, progress: Progress) -> Report:
        """Find first errors; `progress` hears what is being done and how far it is."""
        items = await self._items(progress)
        if not items:
            raise ConfigError("there are no solutions to judge")
        table = []
        for spec in self.verifiers.split():
            verifier: Verifier = make("verifiers", spec)

            def tell(done: int, spec: str = spec) -> None:
                progress(spec, done / len(items))

            async with opened(verifier):
                findings = await examine_all(
                    verifier, items, seed=self.seed, at_once=self.at_once, progress=tell
                )
            table.extend(rows(spec, items, findings))
        source = self.files or f"natural solutions of {self.policy}, split {self.split}"
        return report(f"ProcessBench: {source}", table)

    async def _items(self, progress: Progress) -> list[Item]:
        if self.files:
            return [item for name in self.files.split(",") for item in read(Path(name))]
        items: list[Item] = []
        async with Engine(self.policy, seed=self.seed) as engine:
            for family in self.families.split(","):

                def tell(share: float, family: str = family) -> None:
                    progress(f"solutions: {family}", share)

                items.extend(await solutions(engine, family, self.each, self.split, progress=tell))
        return items
