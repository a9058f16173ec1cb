"""`tts bench`: a benchmark by name, with its knobs; the table on stdout, progress on stderr."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from tts.cli.arguments import Json

if TYPE_CHECKING:
    from collections.abc import Callable

EPILOG = """
[bold]Examples[/bold]

  tts bench

  tts bench nano_policy --set problems=100

  tts bench processbench --set "verifiers=genprm-nano genprm-nano:mode=cot,votes=8"

  tts bench nano_search --set levels=3-5 --json --out search.json
"""


class Report(Protocol):
    """What a benchmark gives: a table for people, and rows for programs."""

    def text(self) -> str: ...
    def data(self) -> list[dict[str, object]]: ...


class Benchmark(Protocol):
    """A frozen dataclass of knobs, registered under `tts.benchmarks`."""

    async def run(self, progress: Callable[[str, float], None]) -> Report: ...


def bench(
    name: Annotated[
        str | None, typer.Argument(help="Which one; without a name they are listed.")
    ] = None,
    knobs: Annotated[
        list[str] | None, typer.Option("--set", metavar="KNOB=VALUE", help="Set a knob.")
    ] = None,
    as_json: Json = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the rows as JSON to this file as well.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Run a benchmark; every figure comes with its interval."""
    import json

    from tts.cli.catalogue import listing
    from tts.cli.output import OutputFile

    if name is None:
        listing("benchmarks", as_json)
        return
    file = None if out is None else OutputFile.checked(out)
    report = _run(name, knobs or [], _silence if quiet else _Progress())
    rows = json.dumps(report.data(), indent=2)
    if file is not None:
        file.write(rows)
    print(rows if as_json else report.text())


def _run(name: str, knobs: list[str], progress: Callable[[str, float], None]) -> Report:
    import anyio

    from tts.config import make_with, pair

    benchmark: Benchmark = make_with("benchmarks", name, [pair(knob, "--set") for knob in knobs])
    try:
        return anyio.run(benchmark.run, progress)
    finally:
        progress("", 1.0)


def _silence(doing: str, share: float) -> None:
    """Say nothing."""


class _Progress:
    """One line on a terminal, rewritten; elsewhere a line for each tenth of each part."""

    def __init__(self) -> None:
        self._said = ("", -1)

    def __call__(self, doing: str, share: float) -> None:
        if sys.stderr.isatty():
            line = f"{doing} {share:4.0%}" if doing else ""
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        elif doing and (doing, int(share * 10)) != self._said:
            self._said = (doing, int(share * 10))
            print(f"{doing} {share:.0%}", file=sys.stderr, flush=True)
