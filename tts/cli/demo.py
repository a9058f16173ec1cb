"""`tts demo`: one problem whose answer is known, four strategies, the same budget for each."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tts.cli.arguments import Json, Policy, Seed, Verifier, complete_family

if TYPE_CHECKING:
    from tts.cli.order import Order
    from tts.cli.session import Ended
    from tts.types import Problem

EPILOG: Final = """
[bold]Examples[/bold]

  tts demo
  tts demo --family words --level 5 --seed 3
  tts demo --budget 16k --json
"""

MANY: Final = "256"
"""More answers than any budget of a demo pays for: the budget is what ends Best-of-N."""

VERIFIERS: Final = ("genprm-nano", "likelihood")
"""The first of these that can be opened judges, if none is named."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One of the strategies that are compared."""

    name: str
    order: Order


def demo(
    family: Annotated[
        str, typer.Option(help="Family of problems.", autocompletion=complete_family)
    ] = "reduction",
    level: Annotated[int, typer.Option(help="Difficulty, from 1.", metavar="N")] = 4,
    number: Annotated[
        int, typer.Option(help="Which problem of that level.", min=0, metavar="N")
    ] = 0,
    policy: Policy = "nano",
    verifier: Verifier = None,
    budget: Annotated[
        str, typer.Option(help="Output tokens for each strategy.", metavar="TOKENS")
    ] = "8k",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Compare four strategies on a problem whose answer is known, at the same token budget.

    Exits with 0 if one of them gives the right answer. Near the end of a budget it is a matter of
    timing who still gets a share of it, so that runs can differ.
    """
    import anyio

    from tts.cli.exits import Exit
    from tts.cli.problem import draw_example
    from tts.events import StopReason

    problem = draw_example(family, level, number)
    judge = anyio.run(_first_that_opens) if verifier is None else verifier
    contenders = _contenders(policy, judge, budget, seed)
    ended: list[Ended] = []
    anyio.run(_compete, problem, contenders, ended)
    commands = [_command(contender, f"{family}-{level}-{number}") for contender in contenders]
    if as_json:
        _print_json(problem, contenders, ended, commands)
    else:
        _print(problem, contenders, ended, commands)
    if ended[-1].result.stop_reason is StopReason.CANCELLED:
        raise typer.Exit(Exit.INTERRUPTED)
    right = any(each.correct for each in ended)
    raise typer.Exit(Exit.ANSWERED if right else Exit.NO_ANSWER)


def _contenders(policy: str, verifier: str | None, budget: str, seed: int) -> list[Contender]:
    from tts.cli.order import Order

    def order(strategy: str, verifier: str | None, *knobs: str) -> Order:
        return Order(policy, verifier, strategy, knobs, budget=budget, seed=seed)

    many = f"n={MANY}"
    found = [Contender("majority vote", order("best_of_n", None, many))]
    if verifier is not None:
        found.append(Contender("weighted vote", order("best_of_n", verifier, many)))
        found.append(Contender("beam search", order("beam", verifier, "n=16", "width=4")))
        found.append(Contender("scheduler", order("voi", verifier)))
    return found


async def _first_that_opens() -> str | None:
    from tts.cli.order import Order
    from tts.errors import TTSError

    for name in VERIFIERS:
        try:
            verifier = Order(verifier=name).make_verifier()
        except TTSError:  # its weights are not installed
            continue
        if verifier is not None:
            await verifier.aclose()
            return name
    return None


async def _compete(problem: Problem, contenders: Sequence[Contender], ended: list[Ended]) -> None:
    """One after another, each with an engine of its own: none profits from another's cache."""
    from tts.cli.session import search
    from tts.events import StopReason

    for contender in contenders:
        ended.append(await search(problem, contender.order))
        if ended[-1].result.stop_reason is StopReason.CANCELLED:
            return


def _command(contender: Contender, example: str) -> str:
    return shlex.join(["tts", "solve", "--example", example, *contender.order.words()])


def _print_json(
    problem: Problem,
    contenders: Sequence[Contender],
    ended: Sequence[Ended],
    commands: Sequence[str],
) -> None:
    import json

    from tts.cli.document import document

    runs = [
        {"name": contender.name, **document(each, command)}
        for contender, each, command in zip(contenders, ended, commands, strict=False)
    ]
    whole = {"schema": "tts.demo/1", "problem": problem.prompt, "runs": runs}
    print(json.dumps(whole, indent=2, allow_nan=False))


def _print(
    problem: Problem,
    contenders: Sequence[Contender],
    ended: Sequence[Ended],
    commands: Sequence[str],
) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from tts.cli import wording
    from tts.cli.report import new_console, problem_line, solution

    console: Console = new_console()
    console.print(problem_line(problem.prompt), soft_wrap=True)
    console.print(Text.assemble(("Truth:   ", "bold"), str(problem.answer)))
    console.print()
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for column in ("strategy", "verifier", "answer", "", "sure"):
        table.add_column(column, no_wrap=column != "answer")
    for column in ("solutions", "tokens", "FLOPs", "time"):
        table.add_column(column, justify="right", no_wrap=True)
    for contender, each in zip(contenders, ended, strict=False):
        result = each.result
        table.add_row(
            contender.name,
            contender.order.verifier or "-",
            Text(wording.printable(result.answer or "none"), "bold"),
            Text("right", "green") if each.correct else Text("wrong", "red"),
            wording.percent(result.confidence),
            wording.count(len(result.candidates)),
            wording.count(result.spend.total.tokens),
            wording.scaled(result.spend.total.flops),
            wording.seconds(result.spend.seconds),
        )
    console.print(table)
    console.print()
    shown = max(range(len(ended)), key=lambda index: (bool(ended[index].correct), index))
    if ended[shown].result.best is not None:
        console.print(Text(f"How {contenders[shown].name} got there", "bold"))
        console.print(solution(ended[shown].result))
        console.print()
    console.print(Text("Next", "bold"))
    for command in (
        commands[min(shown, len(commands) - 1)],
        'tts solve "Evaluate (37 + 48) * 2."',
        "tts strategies",
    ):
        console.print(Text(f"  {command}"), soft_wrap=True)
