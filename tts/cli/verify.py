"""`tts verify`: which steps of a solution are right, why, and what code showed it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tts.cli.arguments import Json, Seed, complete_verifier
from tts.errors import ConfigError
from tts.types import RIGHT_FROM

if TYPE_CHECKING:
    from rich.console import Console

    from tts.types import Judgement, Step
    from tts.verifier import Verifier

DEFAULT_VERIFIER: Final = "genprm-nano"
SCHEMA: Final = "tts.verify/1"
EPILOG: Final = """
[bold]Examples[/bold]

  tts verify "Evaluate 37 + 48." "The answer is \\\\boxed{85}."
  tts verify "Evaluate (37 + 48) * 2." --file solution.txt
  tts verify --file case.json --json
  echo '{"problem": "What is 2 + 2?", "steps": ["2 + 2 = 5."]}' | tts verify

A solution's steps are its paragraphs. JSON has "problem", and "steps" or "solution".

[bold]Exit codes[/bold]

  0 judged, whatever the verdict; 2 wrong usage; 4 an engine failed
"""
_BLANK: Final = re.compile(r"\n[ \t]*\n")
_RUN: Final = re.compile(
    r"```python\s*(?P<code>(?:(?!```).)*?)\s*```\n\[Code Output\]\n\n```\n(?P<output>.*?)\n?```\n",
    re.DOTALL,
)

CriticName = Annotated[
    str,
    typer.Option(
        "--verifier",
        help="What judges the steps of solutions (see 'tts verifiers').",
        metavar="NAME",
        autocompletion=complete_verifier,
    ),
]
CriticKnobs = Annotated[
    list[str] | None,
    typer.Option("--set", help="A knob of the verifier. Repeatable.", metavar="NAME=VALUE"),
]


def verify(
    problem: Annotated[
        str | None, typer.Argument(help="The problem, if it is not in JSON.", metavar="PROBLEM")
    ] = None,
    solution: Annotated[
        str | None,
        typer.Argument(
            help="The solution; - or nothing reads it from --file or stdin.", metavar="SOLUTION"
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="Read the solution, or all as JSON, from this file.", metavar="PATH"),
    ] = None,
    verifier: CriticName = DEFAULT_VERIFIER,
    knobs: CriticKnobs = None,
    seed: Seed = 0,
    full: Annotated[
        bool, typer.Option("--full", help="Show what is said of right steps too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Verify a solution step by step: verdicts, reasons, code and what it printed."""
    import anyio

    asked, steps = read_case(problem, solution, file)
    critic = make_critic(verifier, knobs)
    document = anyio.run(_verified, asked, steps, critic, seed)
    document["verifier"] = verifier
    if as_json:
        print(json.dumps(document, indent=2, allow_nan=False))
    else:
        _print(document, full=full)


def read_case(
    problem: str | None, solution: str | None, file: Path | None
) -> tuple[str, list[str]]:
    """The problem and the texts of the steps, from wherever they are given.

    Raises:
        ConfigError: something is missing, given twice, or not readable.
    """
    from tts.cli.problem import pose

    if problem is not None:
        asked = pose(problem, None, None).problem.prompt
        if solution not in (None, "-"):
            if file is not None:
                raise ConfigError("give the solution once: as text or with --file")
            text = solution or ""
        else:
            _expect_input(file, "no solution")
            text = pose(None, file, None).problem.prompt
        steps = [part.strip() for part in _BLANK.split(text) if part.strip()]
        if not steps:
            raise ConfigError("the solution is empty")
        return asked, steps
    _expect_input(file, "nothing to verify")
    return _from_json(pose(None, file, None).problem.prompt)


def make_critic(name: str, knobs: Sequence[str] | None) -> Verifier:
    """The verifier called `name`; its knobs need no prefix.

    Raises:
        ConfigError: there is none, or a knob cannot be used.
    """
    from tts.cli.order import Order

    own = [knob if knob.startswith("verifier.") else f"verifier.{knob}" for knob in knobs or ()]
    made = Order(verifier=name, knobs=tuple(own)).make_verifier()
    assert made is not None
    return made


def step_documents(
    steps: Sequence[Step], judgements: Sequence[Judgement | None]
) -> list[dict[str, Any]]:
    """Steps and what is said of them, in the types of JSON."""
    return [
        {
            "number": number,
            "text": step.text.strip(),
            "verdict": verdict_on(judgement),
            "score": None if judgement is None else judgement.score,
            "reason": "" if judgement is None else judgement.reason,
            "critique": "" if judgement is None else judgement.critique,
            "code": [] if judgement is None else runs(judgement.critique),
            "votes": []
            if judgement is None
            else [{"score": vote.score, "critique": vote.critique} for vote in judgement.votes],
        }
        for number, (step, judgement) in enumerate(zip(steps, judgements, strict=True), 1)
    ]


def verdict_on(judgement: Judgement | None) -> str:
    """`right`, `wrong`, `unsure` (it abstained) or `unjudged`."""
    if judgement is None:
        return "unjudged"
    if judgement.score is None:
        return "unsure"
    return "right" if judgement.score >= RIGHT_FROM else "wrong"


def first_wrong(documents: Sequence[dict[str, Any]]) -> int | None:
    """The number, from 1, of the first step that is wrong."""
    return next((each["number"] for each in documents if each["verdict"] == "wrong"), None)


def runs(critique: str) -> list[dict[str, str]]:
    """The blocks of code in a critique that were run, with what they printed."""
    return [
        {"code": found["code"], "output": found["output"].strip()}
        for found in _RUN.finditer(critique)
    ]


def print_steps(console: Console, documents: Sequence[dict[str, Any]], *, full: bool) -> None:
    """Each step with its verdict; what is said of it if it is wrong, or of all if `full`."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from tts.cli.wording import printable

    styles = {"right": "green", "wrong": "bold red", "unsure": "yellow", "unjudged": "dim"}
    for each in documents:
        grid = Table.grid(padding=(0, 2))
        for options in ({"justify": "right", "style": "dim"}, {"min_width": 8}, {"min_width": 4}):
            grid.add_column(**options)
        grid.add_column(overflow="fold")
        score = "" if each["score"] is None else f"{each['score']:.2f}"
        votes = f" of {len(each['votes'])} votes" if len(each["votes"]) > 1 else ""
        verdict = Text(each["verdict"], styles[each["verdict"]])
        grid.add_row(str(each["number"]), verdict, score + votes, Text(printable(each["text"])))
        console.print(grid)
        said = "\n".join(filter(None, (each["reason"], each["critique"].strip())))
        if said and (full or each["verdict"] in {"wrong", "unsure"}):
            console.print(Padding(Text(printable(said), "dim"), (0, 0, 1, 4)))


async def _verified(
    prompt: str, texts: Sequence[str], verifier: Verifier, seed: int
) -> dict[str, Any]:
    from dataclasses import asdict

    from tts import __version__
    from tts.budget.meter import Meter
    from tts.seeds import node_seed
    from tts.types import Finish, Problem, Step
    from tts.verifier import Case, opened

    problem = Problem("problem", prompt)
    steps = tuple(
        Step(text, finish=Finish.EOS) if number == len(texts) else Step(f"{text}\n\n")
        for number, text in enumerate(texts, 1)
    )
    # The keys of a path without siblings, as a search would number it.
    seeds = tuple(node_seed(seed, problem.id, (0,) * end) for end in range(1, len(steps) + 1))
    meter = Meter()
    async with opened(verifier) as critic:
        judgements = await critic.judge(Case(problem, steps, (), seeds), meter)
        scores = [None if judgement is None else judgement.score for judgement in judgements]
        documents = step_documents(steps, judgements)
        return {
            "schema": SCHEMA,
            "version": __version__,
            "problem": prompt,
            "first_wrong": first_wrong(documents),
            "score": critic.reduction(scores),
            "steps": documents,
            "cost": asdict(meter.cost),
            "seed": seed,
        }


def _expect_input(file: Path | None, what: str) -> None:
    if file is None and (sys.stdin is None or sys.stdin.isatty()):
        raise ConfigError(f"{what}: give it as text, with --file PATH, or on stdin")


def _from_json(text: str) -> tuple[str, list[str]]:
    try:
        case = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"not JSON, and no PROBLEM is given beside it: {error}") from None
    if not isinstance(case, dict) or not isinstance(case.get("problem"), str):
        raise ConfigError('the JSON must be an object with "problem", and "steps" or "solution"')
    steps = case.get("steps")
    if isinstance(case.get("solution"), str) and steps is None:
        steps = [part.strip() for part in _BLANK.split(case["solution"]) if part.strip()]
    usable = isinstance(steps, list) and all(isinstance(s, str) and s.strip() for s in steps)
    if not usable or not steps:
        raise ConfigError('"steps" must be a list of texts, or "solution" a text; none empty')
    if not case["problem"].strip():
        raise ConfigError("the problem is empty")
    return case["problem"], steps


def _print(document: dict[str, Any], *, full: bool) -> None:
    from rich.text import Text

    from tts.cli.report import new_console, problem_line

    console = new_console()
    console.print(problem_line(document["problem"]), soft_wrap=True)
    console.print()
    print_steps(console, document["steps"], full=full)
    console.print()
    wrong, verdicts = document["first_wrong"], {each["verdict"] for each in document["steps"]}
    if wrong is not None:
        console.print(Text(f"Step {wrong} is the first that is wrong.", "bold red"))
    elif verdicts == {"right"}:
        console.print(Text("No step is wrong.", "bold green"))
    else:
        console.print(Text("No step is judged wrong, but not all are judged.", "yellow"))
