"""`tts merge`: the parts of a command that was run in shares, put together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from tts.cli.arguments import Json
from tts.cli.bench import reread
from tts.cli.parts import ROWS, outcomes_of, read_parts
from tts.errors import ConfigError

EPILOG: Final = """
[bold]Examples[/bold]

  tts bench nano_search --out search.json --shard 1/2

  tts bench nano_search --out search.json --shard 2/2

  tts merge search.json

[bold]Exit codes[/bold]

  0 done; 2 wrong usage, or a part is not done
"""


def merge(
    path: Annotated[Path, typer.Argument(help="What --out was for each share.", metavar="PATH")],
    as_json: Json = False,
) -> None:
    """Put the parts of a command that was run with --shard together, as if one had done it all."""
    from tts.cli.output import OutputFile

    parts = read_parts(path)
    if not parts:
        raise ConfigError(f"there are no parts {path}.1-of-N")
    count = next(iter(parts)).count
    if lacking := [n for n in range(1, count + 1) if n not in {each.index for each in parts}]:
        names = ", ".join(f"{n}/{count}" for n in lacking)
        raise ConfigError(f"of {path} there is no part {names} yet")
    outcomes, work = outcomes_of(path, parts), next(iter(parts.values())).work
    target = OutputFile.checked(path)
    if work["command"] == "bench":
        from tts.study import Unfinished

        try:
            report = reread(work, outcomes)
        except Unfinished as error:
            raise ConfigError(
                f"the work goes on with what all shares found ({error}): run them again"
            ) from None
        rows = json.dumps(report.data(), indent=2)
        target.write(rows)
        print(rows if as_json else report.text())
        return
    found = outcomes.get(ROWS, {})
    lines = [json.dumps(found[place], ensure_ascii=False) for place in sorted(found)]
    target.write("\n".join(lines))
    summary = {"schema": "tts.merge/1", "rows": len(lines), "parts": count, "out": str(path)}
    print(json.dumps(summary) if as_json else f"{len(lines):,} rows are in {path}")
