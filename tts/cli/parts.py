"""Parts: what each share of a command's work leaves beside its output.

Share 2 of 8 of what goes to PATH is in `PATH.2-of-8`: one JSON object that says of what work it is,
so that parts of different work are not put together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tts.errors import ConfigError

if TYPE_CHECKING:
    from tts.study import Outcomes, Share

SCHEMA: Final = "tts.part/1"
ROWS: Final = "rows"
"""The stage whose outcomes are lines of the output as they are."""


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


def check_work(out: Path, parts: Mapping[Share, Part], work: Mapping[str, Any]) -> None:
    """Raises:
    ConfigError: one of `parts` is of other work than `work`.
    """
    for share, part in parts.items():
        if part.work != work:
            told = {key: value for key, value in part.work.items() if work.get(key) != value}
            asked = {key: work.get(key) for key in told}
            raise ConfigError(
                f"{part_path(out, share)} is a part of different work: {told} where this is "
                f"{asked}; remove it, or write to another --out"
            )


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
