"""`tts bench`: a benchmark by name, with its knobs; the table on stdout, progress on stderr."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from tts.cli.arguments import Json, Ray, Shard, Shards
from tts.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tts.cli.parts import Part
    from tts.study import Outcomes, Share, Study

EPILOG = """
[bold]Examples[/bold]

  tts bench

  tts bench nano_policy --set problems=100

  tts bench processbench --set "verifiers=genprm-nano genprm-nano:mode=cot,votes=8"

  tts bench nano_search --set levels=3-5 --json --out search.json

  tts bench nano_search --out search.json --shard 2/8   [dim]then: tts merge search.json[/dim]
"""


class Report(Protocol):
    """What a benchmark gives: a table for people, and rows for programs."""

    def text(self) -> str: ...
    def data(self) -> list[dict[str, object]]: ...


class Benchmark(Protocol):
    """A frozen dataclass of knobs, registered under `tts.benchmarks`."""

    async def run(self, study: Study) -> Report: ...


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
    shard: Shard = None,
    ray: Ray = None,
    shards: Shards = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Run a benchmark; every figure comes with its interval."""
    import json

    from tts import __version__
    from tts.cli.catalogue import listing
    from tts.cli.output import OutputFile
    from tts.cli.parts import checked
    from tts.study import Study

    if name is None:
        listing("benchmarks", as_json)
        return
    share = checked(shard, ray, shards, out)
    file = None if out is None else OutputFile.checked(out)
    progress = _silence if quiet else _Progress()
    work = {"command": "bench", "version": __version__, "name": name, "knobs": knobs or []}
    benchmark = _made(work)
    if share is not None:
        assert out is not None
        _run_share(benchmark, work, out, share, progress)
        return
    if ray is not None:
        assert out is not None
        report = _run_on(ray, shards, benchmark, work, out)
    else:
        report = _run(benchmark, Study(progress))
    rows = json.dumps(report.data(), indent=2)
    if file is not None:
        file.write(rows)
    print(rows if as_json else report.text())


def reread(work: Mapping[str, Any], outcomes: Outcomes) -> Report:
    """What a benchmark reports whose outcomes are known.

    Raises:
        Unfinished: not all of them are.
    """
    from tts.study import Study

    return _run(_made(work), Study(_silence, None, outcomes))


def _made(work: Mapping[str, Any]) -> Benchmark:
    from tts.config import make_with, pair

    pairs = [pair(knob, "--set") for knob in work["knobs"]]
    made: Benchmark = make_with("benchmarks", work["name"], pairs)
    return made


def _run(benchmark: Benchmark, study: Study) -> Report:
    import anyio

    try:
        return anyio.run(benchmark.run, study)
    except KeyboardInterrupt:
        raise typer.Abort from None
    finally:
        study("", 1.0)


def _run_share(
    benchmark: Benchmark,
    work: Mapping[str, Any],
    out: Path,
    share: Share,
    progress: Callable[[str, float], None],
) -> None:
    """Do what is in `share`, as far as it can be done before others have done theirs."""
    from tts.cli.output import OutputFile
    from tts.cli.parts import Part, check_work, outcomes_of, part_path, read_parts
    from tts.study import Study, Unfinished

    # An earlier run of this share, and what others found, if this is a later wave.
    parts = {each: part for each, part in read_parts(out).items() if each.count == share.count}
    check_work(out, parts, work)
    known = outcomes_of(out, parts) if parts else {}
    file = OutputFile.checked(part_path(out, share))
    study = Study(progress, share, known, lambda: file.write(Part(work, known).text()))
    try:
        _run(benchmark, study)
    except Unfinished as waits:
        done = f"share {share} is done; {waits}: run it again when the other shares are"
        print(f"note: {done}" if study.waves > 1 else f"share {share} is done", file=sys.stderr)
    if not study.waves:
        raise ConfigError(f"{work['name']} does its work in one piece: it has no shares")
    study.keep()


def _run_on(
    address: str, shards: int | None, benchmark: Benchmark, work: Mapping[str, Any], out: Path
) -> Report:
    """The benchmark on a Ray cluster, as many rounds as it has waves."""
    from tts.cli.cluster import Cluster
    from tts.cli.parts import outcomes_of, read_parts
    from tts.study import Share, Unfinished

    knobs = [word for knob in work["knobs"] for word in ("--set", knob)]
    before: dict[Share, Part] = {}
    with Cluster(address) as cluster:
        count = shards or cluster.size
        shares = [Share(index, count) for index in range(1, count + 1)]
        while True:
            cluster.round(["bench", work["name"], *knobs, "--quiet"], out, shares)
            parts = read_parts(out)
            try:
                return reread(work, outcomes_of(out, parts))
            except Unfinished:
                if parts == before:
                    raise
                before = parts


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
