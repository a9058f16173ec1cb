"""`tts refine`: solve, have the solution judged, and let the policy mend what was found wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
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
from tts.types import Revising

if TYPE_CHECKING:
    from tts.backends.base import Backend
    from tts.budget.budget import Budget
    from tts.tree import Node
    from tts.types import Problem
    from tts.verifier import Verifier

SCHEMA: Final = "tts.refine/1"
EPILOG: Final = """
[bold]Examples[/bold]

  tts refine "Evaluate (37 + 48) * 2."
  tts refine --example words-3 --turns 5 --json

With --mode rewrite a model is shown the critique and writes a new solution; one that takes no
instructions, as the nano policy, cannot. With --mode resume it goes on after the last step judged
right. Auto rewrites if the model takes instructions, and else resumes.

[bold]Exit codes[/bold]

  0 answered; 2 wrong usage; 3 ended without an answer; 4 an engine failed
"""


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
    budget: Annotated[
        str | None,
        typer.Option(help="Most output tokens of both models, as of tts solve.", metavar="LIMITS"),
    ] = None,
    deadline: Annotated[
        str | None, typer.Option(help="Most time: 30s, 1.5m.", metavar="TIME")
    ] = None,
    mode: Annotated[Revising, typer.Option(help="How a solution is mended.")] = Revising.AUTO,
    seed: Seed = 0,
    full: Annotated[
        bool, typer.Option("--full", help="Show what is said of right steps too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Refine a solution: a critic finds the first wrong step, the policy tries again from there."""
    import anyio

    from tts.cli.exits import Exit
    from tts.cli.order import Order
    from tts.cli.problem import pose
    from tts.registry import open_backend

    posed = pose(problem, file, example)
    critic = make_critic(verifier, knobs)
    limits = Order(budget=budget, deadline=deadline).make_budget()
    backend = open_backend(policy)
    document = anyio.run(_refined, posed.problem, backend, critic, turns, mode, limits, seed)
    document |= {"policy": policy, "verifier": verifier}
    if as_json:
        print(json.dumps(document, indent=2, allow_nan=False))
    else:
        _print(document, full=full)
    raise typer.Exit(Exit.NO_ANSWER if document["answer"] is None else Exit.ANSWERED)


async def _refined(
    problem: Problem,
    backend: Backend,
    verifier: Verifier,
    turns: int,
    mode: Revising,
    budget: Budget,
    seed: int,
) -> dict[str, Any]:
    from tts import __version__
    from tts.cli.wording import stop_reason
    from tts.config import build
    from tts.engine import Engine
    from tts.policy import LanguagePolicy
    from tts.registry import load

    async with Engine(LanguagePolicy(backend), verifier, seed=seed) as engine:
        how = mode.settled(backend.model.dialect.takes_instructions)
        strategy = build("refine", load("strategies", "refine"), {"turns": turns, "how": how})
        result = await engine.solve(problem, strategy, budget)
    written: set[Node] = set()
    documents = []
    written_as = {node.key: number for number, node in enumerate(result.tree)}
    for candidate in sorted(result.candidates, key=lambda each: written_as[each.key]):
        path = result.tree[candidate.key].path()
        documents.append(_turn(path, written, candidate.answer))
        written.update(path)
    stated = [turn["answer"] for turn in documents if turn["answer"] is not None]
    answer = stated[-1] if stated else None
    return {
        "schema": SCHEMA,
        "version": __version__,
        "problem": problem.prompt,
        "expected": problem.answer,
        "answer": answer,
        "correct": await _is_correct(answer, problem),
        "mode": how.value,
        "turns": documents,
        "stop_reason": result.stop_reason.value,
        "ended": stop_reason(result, budget),
        "errors": list(result.errors),
        "seed": seed,
    }


def _turn(path: list[Node], written: set[Node], answer: str | None) -> dict[str, Any]:
    """What a turn came to; it took what is new on its path, not what was `written` before."""
    from tts.types import FREE

    policy = verifier = FREE
    for node in path:
        if node not in written and node.step is not None:
            policy += node.step.cost
            verifier += FREE if node.judgement is None else node.judgement.cost
    steps = step_documents(
        [node.step for node in path if node.step is not None], [node.judgement for node in path]
    )
    return {
        "answer": answer,
        "first_wrong": first_wrong(steps),
        "steps": steps,
        "policy_cost": asdict(policy),
        "verifier_cost": asdict(verifier),
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
    if document["stop_reason"] != "done":
        console.print(Text(document["ended"], "yellow"))
    for error in document["errors"]:
        console.print(Text(f"Went wrong: {printable(error)}", "yellow"))
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
