"""`tts refine`: solve, have the solution judged, and let the policy mend what was found wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tts.cli.arguments import Example, Json, Policy, ProblemFile, ProblemText, Seed
from tts.cli.verify import (
    DEFAULT_VERIFIER,
    CriticKnobs,
    CriticName,
    first_wrong,
    make_critic,
    print_steps,
    step_documents,
)

if TYPE_CHECKING:
    from tts.backends.base import Backend
    from tts.refine import Turn
    from tts.types import Problem
    from tts.verifier import Verifier

SCHEMA: Final = "tts.refine/1"
EPILOG: Final = """
[bold]Examples[/bold]

  tts refine "Evaluate (37 + 48) * 2."
  tts refine --example words-3 --turns 5 --json

With --mode rewrite a model that takes instructions is shown the critique and writes a new solution.
With --mode resume it goes on after the last step judged right. Auto is what the model was taught.

[bold]Exit codes[/bold]

  0 answered; 2 wrong usage; 3 ended without an answer; 4 an engine failed
"""


class Mode(Enum):
    """How a solution is mended."""

    AUTO = "auto"
    REWRITE = "rewrite"
    RESUME = "resume"


def refine(
    problem: ProblemText = None,
    file: ProblemFile = None,
    example: Example = None,
    policy: Policy = "nano",
    verifier: CriticName = DEFAULT_VERIFIER,
    knobs: CriticKnobs = None,
    turns: Annotated[
        int, typer.Option(help="Most refinements after the first solution.", min=0, metavar="N")
    ] = 3,
    mode: Annotated[Mode, typer.Option(help="How a solution is mended.")] = Mode.AUTO,
    seed: Seed = 0,
    full: Annotated[
        bool, typer.Option("--full", help="Show what is said of right steps too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Refine a solution: a critic finds the first wrong step, the policy tries again from there."""
    import anyio

    from tts.cli.exits import Exit
    from tts.cli.problem import pose
    from tts.registry import open_backend

    posed = pose(problem, file, example)
    critic = make_critic(verifier, knobs)
    backend = open_backend(policy)
    document = anyio.run(_refined, posed.problem, backend, critic, turns, mode, seed)
    document |= {"policy": policy, "verifier": verifier}
    if as_json:
        print(json.dumps(document, indent=2, allow_nan=False))
    else:
        _print(document, full=full)
    raise typer.Exit(Exit.NO_ANSWER if document["answer"] is None else Exit.ANSWERED)


async def _refined(
    problem: Problem, backend: Backend, verifier: Verifier, turns: int, mode: Mode, seed: int
) -> dict[str, Any]:
    from tts import __version__
    from tts.policy import LanguagePolicy
    from tts.refine import Resume, Rewrite, takes_instructions
    from tts.refine import refine as run_refinement
    from tts.verifier import opened

    rewrites = mode is Mode.REWRITE or (
        mode is Mode.AUTO and takes_instructions(backend.model.dialect)
    )
    try:
        async with opened(verifier) as critic:
            policy = LanguagePolicy(backend)
            reviser = Rewrite(backend) if rewrites else Resume(policy)
            done = await run_refinement(problem, policy, critic, reviser, turns=turns, seed=seed)
    finally:
        await backend.aclose()
    documents = [_turn(turn) for turn in done]
    answer = documents[-1]["answer"]
    return {
        "schema": SCHEMA,
        "version": __version__,
        "problem": problem.prompt,
        "expected": problem.answer,
        "answer": answer,
        "correct": await _is_correct(answer, problem),
        "mode": (Mode.REWRITE if rewrites else Mode.RESUME).value,
        "turns": documents,
        "seed": seed,
    }


def _turn(turn: Turn) -> dict[str, Any]:
    from tts.answers import extract_answer
    from tts.types import Finish

    steps = step_documents(turn.steps, turn.judgements)
    answered = turn.steps[-1].finish is Finish.EOS
    return {
        "answer": extract_answer(turn.text) if answered else None,
        "first_wrong": first_wrong(steps),
        "steps": steps,
        "policy_cost": asdict(turn.policy_cost),
        "verifier_cost": asdict(turn.verifier_cost),
    }


async def _is_correct(answer: str | None, problem: Problem) -> bool | None:
    from tts.answers import AnswerChecker, Verdict, grade

    if problem.answer is None:
        return None
    # Answers of examples are integers: notation decides, no worker is needed.
    async with AnswerChecker(workers=0) as checker:
        return await grade(answer, problem.answer, checker) is Verdict.EQUAL


def _print(document: dict[str, Any], *, full: bool) -> None:
    from rich.text import Text

    from tts.cli.report import new_console, problem_line
    from tts.cli.wording import printable

    console = new_console()
    console.print(problem_line(document["problem"]), soft_wrap=True)
    turns: Sequence[dict[str, Any]] = document["turns"]
    for number, turn in enumerate(turns):
        title = "First solution" if number == 0 else f"Refinement {number}"
        console.print()
        console.print(Text.assemble((title, "bold"), (f"  answer: {turn['answer']}", "dim")))
        print_steps(console, turn["steps"], full=full)
    console.print()
    if document["answer"] is None:
        console.print(Text("No answer.", "bold red"))
        return
    line = Text.assemble(("Answer:  ", "bold"), (printable(document["answer"]), "bold green"))
    if document["correct"] is not None:
        known = f"  wrong: it is {document['expected']}"
        line.append_text(
            Text("  right", "green") if document["correct"] else Text(known, style="red")
        )
    console.print(line)
    if turns[-1]["first_wrong"] is not None:
        console.print(Text("The verifier still finds a step wrong.", "yellow"))
