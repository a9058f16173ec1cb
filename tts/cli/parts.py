"""Parts: what each share of a command's work leaves beside its output, and `tts merge`.

Share 2 of 8 of what goes to PATH is in `PATH.2-of-8`: one JSON object that says of what work it is,
so that parts of different work are not put together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tts.cli.arguments import Json
from tts.errors import ConfigError

if TYPE_CHECKING:
    from tts.study import Outcomes, Share

SCHEMA: Final = "tts.part/1"
ROWS: Final = "rows"
"""The stage whose outcomes are lines of the output as they are."""
EPILOG: Final = """
[bold]Examples[/bold]

  tts bench nano_search --out search.json --shard 1/2

  tts bench nano_search --out search.json --shard 2/2

  tts merge search.json

[bold]Exit codes[/bold]

  0 done; 2 wrong usage, or a part is not done
"""


@dataclass(frozen=True, slots=True)
class Part:
    """What one share has done."""

    work: Mapping[str, Any]
    """The command and what decides its output, but not what only decides its speed."""
    outcomes: Outcomes = field(default_factory=dict)

    def text(self) -> str:
        """As it stands in a file."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, ensure_ascii=False)


def checked(
    shard: str | None, ray: str | None, shards: int | None, out: Path | None
) -> Share | None:
    """The share that is asked for; None: the whole, here or on a cluster.

    Raises:
        ConfigError: what is asked for does not go together.
    """
    from tts.study import Share

    if shard is not None and ray is not None:
        raise ConfigError("--ray shares the work out itself: leave --shard away")
    if shards is not None and ray is None:
        raise ConfigError("--shards is for --ray; here it is --shard I/N for each share")
    if (shard is not None or ray is not None) and out is None:
        raise ConfigError("shares of the work are put together in a file: say --out PATH")
    return None if shard is None else Share.parsed(shard)


def part_path(out: Path, share: Share) -> Path:
    """Where `share` of what goes to `out` is."""
    return out.with_name(f"{out.name}.{share.index}-of-{share.count}")


def read_parts(out: Path) -> dict[Share, Part]:
    """All parts that are there of what goes to `out`, by their shares, in order.

    Raises:
        ConfigError: one cannot be read, or they are of different work or of different numbers.
    """
    from tts.study import Share

    pattern = re.compile(re.escape(out.name) + r"\.(\d+)-of-(\d+)")
    found: dict[Share, Part] = {}
    for path in out.parent.iterdir() if out.parent.is_dir() else ():
        if match := pattern.fullmatch(path.name):
            found[Share(int(match[1]), int(match[2]))] = _read(path)
    parts = {share: found[share] for share in sorted(found, key=lambda each: each.index)}
    if len({share.count for share in parts}) > 1:
        names = ", ".join(sorted(part_path(out, share).name for share in parts))
        raise ConfigError(f"{names} are shares of different numbers: remove the old ones")
    return parts


def outcomes_of(out: Path, parts: Mapping[Share, Part]) -> Outcomes:
    """The outcomes of all `parts`.

    Raises:
        ConfigError: they are of different work, or disagree.
    """
    from tts.study import together

    works = {share: json.dumps(part.work, sort_keys=True) for share, part in parts.items()}
    first = next(iter(works))
    for share, work in works.items():
        if work != works[first]:
            raise ConfigError(
                f"{part_path(out, first).name} and {part_path(out, share).name} are parts of "
                f"different work: {works[first]} and {work}"
            )
    return together([(part_path(out, each).name, part.outcomes) for each, part in parts.items()])


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
        from tts.cli.bench import reread
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


def _read(path: Path) -> Part:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain["schema"] != SCHEMA:
            raise ConfigError(f"{path} is a part in another format: {plain['schema']!r}")
        outcomes = {
            stage: {int(place): outcome for place, outcome in found.items()}
            for stage, found in plain["outcomes"].items()
        }
        return Part(plain["work"], outcomes)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} is no part of anything: {error}") from None
