"""Arguments: the options that several commands share, and how the shell completes them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def complete_policy(incomplete: str) -> list[str]:
    """Backends by name."""
    return _starting("backends", incomplete)


def complete_verifier(incomplete: str) -> list[str]:
    """Verifiers by name."""
    return _starting("verifiers", incomplete)


def complete_strategy(incomplete: str) -> list[str]:
    """Strategies and presets by name."""
    from tts.presets import presets

    named = [name for name in presets() if name.startswith(incomplete)]
    return _starting("strategies", incomplete) + named


def complete_selector(incomplete: str) -> list[str]:
    """Selectors by name."""
    from tts.select import SELECTORS

    return [name for name in sorted(SELECTORS) if name.startswith(incomplete)]


def complete_example(incomplete: str) -> list[str]:
    """Families of example problems, each with its levels."""
    from tts.cli.problem import example_names

    return [name for name in example_names() if name.startswith(incomplete)]


def complete_family(incomplete: str) -> list[str]:
    """Families of example problems."""
    return [name for name in complete_example(incomplete) if "-" not in name]


def _starting(kind: str, incomplete: str) -> list[str]:
    from importlib.metadata import entry_points

    names = sorted(point.name for point in entry_points(group=f"tts.{kind}"))
    return [name for name in names if name.startswith(incomplete)]


ProblemText = Annotated[
    str | None,
    typer.Argument(help="The problem; - or nothing reads it from stdin.", metavar="PROBLEM"),
]
ProblemFile = Annotated[
    Path | None, typer.Option("--file", help="Read the problem from this file.", metavar="PATH")
]
Example = Annotated[
    str | None,
    typer.Option(
        "--example",
        help="Take an example whose answer is known: FAMILY, FAMILY-LEVEL or "
        "FAMILY-LEVEL-NUMBER; any if left out.",
        metavar="[NAME]",
        autocompletion=complete_example,
    ),
]
Policy = Annotated[
    str,
    typer.Option(
        help="The model that writes solutions: BACKEND, BACKEND:PLACE,KNOB=VALUE,... or "
        "http://host:port,KNOB=VALUE,... (see 'tts backends').",
        metavar="NAME",
        autocompletion=complete_policy,
    ),
]
Verifier = Annotated[
    str | None,
    typer.Option(
        help="What judges the steps: NAME or NAME:KNOB=VALUE,... (see 'tts verifiers').",
        metavar="NAME",
        autocompletion=complete_verifier,
    ),
]
Strategy = Annotated[
    str,
    typer.Option(
        help="How to search: NAME or NAME:KNOB=VALUE,... (see 'tts strategies', 'tts presets').",
        metavar="NAME",
        autocompletion=complete_strategy,
    ),
]
Seed = Annotated[
    int,
    typer.Option(help="Decides every sample: the same seed, the same search.", min=0, metavar="N"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Shard = Annotated[
    str | None,
    typer.Option(
        help="Do only the I-th of N shares, into OUT.I-of-N; see 'tts merge'.", metavar="I/N"
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        help="Share the work out on a Ray cluster: its address, auto, or nothing to start one.",
        metavar="[ADDRESS]",
    ),
]
Shards = Annotated[
    int | None,
    typer.Option(help="With --ray: into so many; one a CPU, if not said.", min=1, metavar="N"),
]
