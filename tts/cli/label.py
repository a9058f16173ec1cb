"""`tts label`: which steps of solutions are right, by completing each prefix many times."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tts.cli.arguments import Json, Policy, Ray, Seed, Shard, Shards
from tts.errors import ConfigError

if TYPE_CHECKING:
    from tts.backends.base import Backend

SCHEMA: Final = "tts.label/1"
EPILOG: Final = """
[bold]Examples[/bold]

  tts label solutions.jsonl --out labelled.jsonl --factor 0.25
  tts label solutions.jsonl --out labelled.jsonl --rule hard
  tts label solutions.jsonl --out labelled.jsonl --shard 2/8

Each line of FILE is {"problem": ..., "answer": ..., "steps": [...]}. Stopped, however it was, the
same command goes on where it was; only the rule may change, and costs nothing then.

[bold]Exit codes[/bold]

  0 done; 2 wrong usage; 4 an engine failed; 130 interrupted
"""

Solutions = Annotated[
    Path, typer.Argument(help="JSON lines; - reads stdin.", metavar="FILE", allow_dash=True)
]
Out = Annotated[Path, typer.Option(help="Write the rows to this file.", metavar="PATH")]
JournalPath = Annotated[
    Path | None,
    typer.Option(
        "--journal", help="What is done already; OUT.journal if not said.", metavar="PATH"
    ),
]
AtOnce = Annotated[int, typer.Option(help="Solutions in progress.", min=1, metavar="N")]


def label(
    file: Solutions,
    out: Out,
    policy: Policy = "nano",
    rule: Annotated[
        str, typer.Option(help="From rates to labels: ratio, difference or hard.", metavar="NAME")
    ] = "ratio",
    threshold: Annotated[
        float | None,
        typer.Option(help="Of the rule; by default the paper's best.", metavar="EPSILON"),
    ] = None,
    factor: Annotated[
        float, typer.Option(help="Scales the number of rollouts: 128, 64 or 32.", metavar="X")
    ] = 1.0,
    rollouts: Annotated[int, typer.Option(help="Rollouts in progress.", min=1, metavar="N")] = 64,
    at_once: AtOnce = 32,
    journal: JournalPath = None,
    seed: Seed = 0,
    shard: Shard = None,
    ray: Ray = None,
    shards: Shards = None,
    as_json: Json = False,
) -> None:
    """Label the steps of solutions by Monte-Carlo rollouts and relative progress (GenPRM)."""
    from tts.cli.output import apart
    from tts.cli.rows import Rows
    from tts.registry import open_backend

    synthesis = load_synthesis()
    chosen = synthesis.Rule.named(rule, threshold)
    schedule = synthesis.Schedule(factor)
    apart(**{"FILE": file, "--out": out, "--journal": journal})
    given = lines(file)
    settings = {"what": "label", "policy": policy, "factor": factor, "seed": seed}
    rows_of = Rows("label", {**settings, "rule": str(chosen)}, given, out, shard, ray, shards)
    every = synthesis.read_solutions(given)
    if ray is not None:
        words = ["--policy", policy, "--rule", rule, "--factor", str(factor), "--seed", str(seed)]
        words += ["--rollouts", str(rollouts), "--at-once", str(at_once)]
        words += [] if threshold is None else ["--threshold", str(threshold)]
        rows_of.distribute(words, as_json=as_json)
        return
    solutions = rows_of.own(every, lambda solution: solution.problem.id)
    book = journal or rows_of.path.with_name(f"{rows_of.path.name}.journal")
    backend = open_backend(policy)

    async def work(opened: Any, on_done: Callable[[int], None]) -> Any:
        return await _labelled(
            synthesis,
            backend,
            solutions,
            opened,
            chosen,
            schedule,
            rollouts,
            at_once,
            seed,
            on_done,
        )

    rows, summary = run_job(synthesis, book, settings, work, "label", len(solutions))
    rows_of.write(rows)
    report(SCHEMA, summary, {"rule": str(chosen)}, rows_of.path, book, as_json=as_json)


def load_synthesis() -> Any:
    """The package that does the work."""
    # By name: the engine's package must not depend on a plug-in's.
    try:
        return import_module("tts_verifiers.synthesis")
    except ImportError as error:
        raise ConfigError(f"the synthesis of training data is not installed ({error})") from None


def lines(file: Path) -> list[str]:
    """The lines of `file`.

    Raises:
        ConfigError: it cannot be read as text.
    """
    try:
        if str(file) == "-":
            content = sys.stdin.buffer.read() if sys.stdin is not None else b""
        else:
            content = file.read_bytes()
        return content.decode("utf-8-sig").split("\n")
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not UTF-8 text") from None


def run_job(
    synthesis: Any,
    book: Path,
    settings: Mapping[str, object],
    work: Callable[[Any, Callable[[int], None]], Coroutine[Any, Any, Any]],
    title: str,
    total: int,
) -> Any:
    """Run `work` with an open journal, telling on stderr how far it is."""
    import anyio

    from tts.cli.progress import LINE_SECONDS

    told = time.monotonic()

    def on_done(done: int) -> None:
        nonlocal told
        if time.monotonic() - told >= LINE_SECONDS:
            told = time.monotonic()
            print(f"{title}: {done:,} of {total:,} solutions", file=sys.stderr, flush=True)

    with synthesis.Journal(book, settings) as opened:
        try:
            return anyio.run(work, opened, on_done)
        except KeyboardInterrupt:
            print(f"the same command goes on with what is in {book}", file=sys.stderr)
            raise


def report(
    schema: str, summary: Any, more: Mapping[str, object], out: Path, book: Path, *, as_json: bool
) -> None:
    """Print what became of all solutions."""
    from tts import __version__
    from tts.cli.wording import printable

    plain = asdict(summary)
    if as_json:
        whole = {"schema": schema, "version": __version__, **plain, **more}
        print(json.dumps({**whole, "out": str(out), "journal": str(book)}, indent=2))
        return
    cost = plain.pop("cost")
    for name, value in {**plain, **more}.items():
        if isinstance(value, dict):
            for reason, count in value.items():
                print(f"  {printable(str(reason)).replace('_', ' ')}: {count:,}")
        else:
            shown = f"{value:,}" if isinstance(value, int) else value
            print(f"{name.replace('_', ' ')}: {shown}")
    print(f"{cost['calls']:,} calls, {cost['output_tokens']:,} tokens written; rows are in {out}")


async def _labelled(
    synthesis: Any,
    backend: Backend,
    solutions: Any,
    journal: Any,
    rule: Any,
    schedule: Any,
    rollouts: int,
    at_once: int,
    seed: int,
    on_done: Callable[[int], None],
) -> Any:
    from tts.answers import AnswerChecker
    from tts.policy import LanguagePolicy

    policy = LanguagePolicy(backend)
    try:
        async with AnswerChecker() as checker:
            completer = synthesis.Completer(
                policy, checker, schedule=schedule, seed=seed, at_once=rollouts
            )
            return await synthesis.label(
                solutions,
                completer,
                lambda texts: synthesis.as_steps(texts, backend.tokenizer, policy.model.dialect),
                journal,
                rule=rule,
                at_once=at_once,
                on_done=on_done,
            )
    finally:
        await policy.aclose()
