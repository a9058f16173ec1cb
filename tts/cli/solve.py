"""`tts solve`: one problem, one search, one answer."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tts.cli.arguments import (
    Example,
    Json,
    Policy,
    ProblemFile,
    ProblemText,
    Seed,
    Strategy,
    Verifier,
    complete_selector,
)

if TYPE_CHECKING:
    from tts.cli.session import Ended

EPILOG: Final = """
[bold]Examples[/bold]

  tts solve "Evaluate (37 + 48) * 2." --n 32
  tts solve --example words-3 --budget 8k --deadline 30s
  tts solve --example --strategy beam --verifier likelihood --set width=4
  tts solve --example --policy nano:usd_in=0.1,usd_out=0.4 --budget usd=0.0005
  tts solve --example --strategy rebase-16 --verifier likelihood
  tts solve --file problem.txt --samples 64 --out result.json
  echo "What is 12 * 7?" | tts solve --json

[bold]Exit codes[/bold]

  0 answered; 2 wrong usage; 3 ended without an answer; 4 an engine failed; 130 interrupted
"""


def solve(
    problem: ProblemText = None,
    file: ProblemFile = None,
    example: Example = None,
    policy: Policy = "nano",
    verifier: Verifier = None,
    strategy: Strategy = "best_of_n",
    knobs: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A knob of the strategy, or of the verifier as verifier.NAME=VALUE. Repeatable.",
            metavar="NAME=VALUE",
        ),
    ] = None,
    n: Annotated[
        int | None, typer.Option("--n", "-n", help="Short for --set n=N.", metavar="N")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            help="Most output tokens of all models together: 800, 8k; or most in other units: "
            "usd=0.02, tokens=8k,calls=50.",
            metavar="LIMITS",
        ),
    ] = None,
    deadline: Annotated[
        str | None, typer.Option(help="Most time: 30s, 1.5m.", metavar="TIME")
    ] = None,
    flops: Annotated[
        str | None, typer.Option(help="Most floating-point operations: 1T.", metavar="FLOPS")
    ] = None,
    samples: Annotated[
        str | None, typer.Option(help="Most completions asked of the policy.", metavar="N")
    ] = None,
    select: Annotated[
        str | None,
        typer.Option(
            help="How to choose the answer: majority, weighted, best or probable; if not said, "
            "the strategy's own, or else weighted with a verifier and majority without.",
            metavar="NAME",
            autocompletion=complete_selector,
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            help="Of the policy's samples; a preset's, or what its makers advise, if not said.",
            min=0.0,
            metavar="T",
        ),
    ] = None,
    speculate: Annotated[
        int | None,
        typer.Option(
            help="Most steps continued while the verdicts on them are outstanding: saves time, "
            "wastes tokens, changes no sample.",
            min=0,
            metavar="N",
        ),
    ] = None,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Also write the result as JSON to this file.", metavar="PATH"),
    ] = None,
    events: Annotated[
        Path | None,
        typer.Option(help="Write every event to this file, as JSON lines.", metavar="PATH"),
    ] = None,
    as_json: Json = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress; print nothing but the answer.")
    ] = False,
) -> None:
    """Solve a problem: search for an answer within limits, and show how it came about.

    Limits are hard, and may be combined. Ctrl-C or SIGTERM stops it and shows the best so far.
    """
    import anyio

    from tts.cli.exits import of_result
    from tts.cli.order import Order
    from tts.cli.output import OutputFile, apart
    from tts.cli.problem import pose
    from tts.cli.session import search

    order = Order(
        policy, verifier, strategy, tuple(knobs or ()), n, budget, deadline, flops, samples, select,
        seed, temperature, speculate,
    )  # fmt: skip
    apart(**{"--file": file, "--out": out, "--events": events})
    posed = pose(problem, file, example)
    target = None if out is None else OutputFile.checked(out)
    log = None if events is None else OutputFile.checked(events).path
    ended = anyio.run(lambda: search(posed.problem, order, quiet=quiet, events=log))
    _show(
        ended,
        command=shlex.join(["tts", "solve", *order.words(), *posed.words]),
        target=target,
        as_json=as_json,
        quiet=quiet,
    )
    raise typer.Exit(of_result(ended.result))


def _show(ended: Ended, *, command: str, target: object, as_json: bool, quiet: bool) -> None:
    import json

    from tts.cli.document import document
    from tts.cli.output import OutputFile

    whole = document(ended, command)
    text = json.dumps(whole, indent=2, allow_nan=False)
    if as_json:
        print(text)
    elif quiet:
        _print_answer(ended)
    else:
        from tts.cli.report import print_report

        print_report(ended, command)
    if isinstance(target, OutputFile):
        target.write(text)


def _print_answer(ended: Ended) -> None:
    from tts.cli.wording import printable, stop_reason

    if ended.result.answer is None:
        reason = stop_reason(ended.result, ended.budget)
        print(f"no answer: {reason}", file=sys.stderr)
    else:
        print(printable(ended.result.answer))
