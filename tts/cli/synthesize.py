"""`tts synthesize`: conversations to train a verifier on, from labelled solutions and a teacher."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tts.cli.arguments import Json, Ray, Seed, Shard, Shards, complete_policy
from tts.cli.label import (
    AtOnce,
    JournalPath,
    Out,
    Solutions,
    lines,
    load_synthesis,
    report,
    run_job,
)
from tts.errors import ConfigError

SCHEMA: Final = "tts.synthesize/1"
EPILOG: Final = """
[bold]Examples[/bold]

  tts synthesize labelled.jsonl --teacher http://localhost:8000 --out train.jsonl
  tts synthesize labelled.jsonl --teacher-function my_package.templates:judge --out train.jsonl

FILE is what 'tts label' writes: each line has "problem", "steps" and "labels". A row of the output
is {"conversations": [{"role": ..., "content": ...}, ...]}. Stopped, however it was, the same
command goes on where it was.

[bold]Exit codes[/bold]

  0 done; 2 wrong usage; 4 an engine failed; 130 interrupted
"""


def synthesize(
    file: Solutions,
    out: Out,
    teacher: Annotated[
        str | None,
        typer.Option(
            help="The reasoning model that criticises: BACKEND or BACKEND:PLACE,KNOB=VALUE,...",
            metavar="NAME",
            autocompletion=complete_policy,
        ),
    ] = None,
    function: Annotated[
        str | None,
        typer.Option(
            "--teacher-function",
            help="A coroutine function instead, which Python can import.",
            metavar="MODULE:NAME",
        ),
    ] = None,
    tokens: Annotated[
        int, typer.Option(help="Longest critique of the model.", min=1, metavar="N")
    ] = 32_768,
    profile: Annotated[
        str, typer.Option(help="How the conversation is spelt: card, nano, ...", metavar="NAME")
    ] = "card",
    at_once: AtOnce = 32,
    journal: JournalPath = None,
    seed: Seed = 0,
    shard: Shard = None,
    ray: Ray = None,
    shards: Shards = None,
    as_json: Json = False,
) -> None:
    """Have labelled solutions criticised, and keep those about which labels and teacher agree."""
    from tts.cli.output import apart
    from tts.cli.rows import Rows

    synthesis = load_synthesis()
    spelling = import_module("tts_verifiers.genprm.profiles").profile(profile)
    apart(**{"FILE": file, "--out": out, "--journal": journal})
    given = lines(file)
    named = {"teacher": teacher or function, "tokens": tokens, "profile": profile, "seed": seed}
    rows_of = Rows("synthesize", named, given, out, shard, ray, shards)
    every = synthesis.read_labelled(given)
    if ray is not None:
        words = ["--tokens", str(tokens), "--profile", profile, "--seed", str(seed)]
        words += ["--at-once", str(at_once)]
        words += [] if teacher is None else ["--teacher", teacher]
        words += [] if function is None else ["--teacher-function", function]
        rows_of.distribute(words, as_json=as_json)
        return
    solutions = rows_of.own(every, lambda labelled: labelled.solution.problem.id)
    book = journal or rows_of.path.with_name(f"{rows_of.path.name}.journal")
    made = _teacher(synthesis, teacher, function, tokens)
    settings = {"what": "synthesize", "teacher": made.name, "seed": seed}

    async def work(opened: Any, on_done: Callable[[int], None]) -> Any:
        async with AsyncExitStack() as stack:
            if isinstance(made, AbstractAsyncContextManager):
                await stack.enter_async_context(made)
            else:
                stack.push_async_callback(made.aclose)
            return await synthesis.synthesize(
                solutions, made, opened, profile=spelling, seed=seed, at_once=at_once,
                on_done=on_done,
            )  # fmt: skip

    rows, summary = run_job(synthesis, book, settings, work, "synthesize", len(solutions))
    rows_of.write(rows)
    report(SCHEMA, summary, {"profile": profile}, rows_of.path, book, as_json=as_json)


def _teacher(synthesis: Any, backend: str | None, function: str | None, tokens: int) -> Any:
    if (backend is None) == (function is None):
        raise ConfigError("name one teacher: --teacher BACKEND or --teacher-function MODULE:NAME")
    if backend is not None:
        from tts.registry import open_backend

        runner = import_module("tts_verifiers.genprm.sandbox").SandboxRunner()
        return synthesis.ReasoningTeacher(open_backend(backend), runner, tokens=tokens)
    assert function is not None
    module, _, name = function.partition(":")
    if (here := str(Path.cwd())) not in sys.path:  # as for programs, not for installed commands
        sys.path.insert(0, here)
    try:
        return synthesis.FunctionTeacher(getattr(import_module(module), name), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"--teacher-function {function!r} cannot be imported: {error}") from None
