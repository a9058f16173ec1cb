"""`tts strategies`, `tts verifiers`, `tts backends`, `tts presets`: what is installed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, Literal, Union, get_args, get_origin

from tts.cli.arguments import Json

if TYPE_CHECKING:
    from tts.paper import Bill
    from tts.registry import Kind

REMARKS: Final[Mapping[str, str]] = {
    "strategies": "Of a cost, depth is the steps of a solution. A call writes a step, or the rest "
    "of a solution; output tokens are calls x tokens of what they write, and verdicts x votes x "
    "tokens of a vote.",
    "backends": "Every engine can be told what it costs, in USD for a million tokens, so that "
    "money can be limited: NAME:PLACE,usd_in=0.2,usd_cached=0.05,usd_out=0.8.",
}


def strategies(as_json: Json = False) -> None:
    """List the search strategies: where each is from, its knobs (--set NAME=VALUE), its cost."""
    listing("strategies", as_json)


def verifiers(as_json: Json = False) -> None:
    """List the verifiers and their knobs (set them by --set verifier.NAME=VALUE)."""
    listing("verifiers", as_json)


def backends(as_json: Json = False) -> None:
    """List the engines that --policy can name: NAME, NAME:PLACE or NAME:PLACE,KNOB=VALUE,..."""
    listing("backends", as_json)


def presets(as_json: Json = False) -> None:
    """List published settings that --strategy can name, each with its source."""
    import json
    from dataclasses import asdict

    from tts.presets import presets as installed

    found = list(installed().values())
    if as_json:
        documents = [asdict(preset) for preset in found]
        print(json.dumps({"schema": "tts.presets/1", "presets": documents}, indent=2))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 1, 0), pad_edge=False, header_style="dim")
    for column, style in (("name", "bold"), ("settings", ""), ("source", "")):
        table.add_column(column, style=style, no_wrap=column == "name", overflow="fold")
    for preset in found:
        knobs = ",".join(f"{name}={value}" for name, value in preset.knobs.items())
        others = {"--select": preset.select, "--temperature": preset.temperature}
        options = [f"{name} {value}" for name, value in others.items() if value is not None]
        settings = "\n".join([f"{preset.strategy}:{knobs}", *options])
        differs = f"\nHere: {preset.differs}" if preset.differs else ""
        source = Text(f"{preset.about}. {preset.source}.").append(differs, style="dim")
        table.add_row(preset.name, Text(settings), source)
    Console(highlight=False).print(table)


@dataclass(frozen=True, slots=True)
class Knob:
    """A parameter of a plug-in."""

    name: str
    type: str
    default: str | None
    """As Python writes it; None: it must be given."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A plug-in that is installed."""

    name: str
    about: str
    knobs: list[Knob] = field(default_factory=list)
    papers: list[str] = field(default_factory=list)
    """As texts cite them; `tts cite` has their BibTeX."""
    cost: str | None = None
    """What a search comes to, as arithmetic on the knobs and the depth of a solution."""
    error: str | None = None
    """Why it cannot be loaded."""


def entries(kind: Kind) -> list[Entry]:
    """What is installed of `kind`, also what cannot be loaded."""
    from tts.registry import names

    return [_entry(kind, name) for name in names(kind)]


def _entry(kind: Kind, name: str) -> Entry:
    from tts.errors import TTSError
    from tts.paper import papers_of
    from tts.registry import load

    try:
        factory = load(kind, name)
    except TTSError as error:
        return Entry(name, "", error=str(error))
    knobs = _knobs(factory)
    return Entry(
        name,
        _about(factory),
        knobs[1:] if kind == "backends" else knobs,
        [paper.short for paper in papers_of(factory)],
        _cost(getattr(factory, "bill", None)),
    )


def _cost(bill: Bill | None) -> str | None:
    if bill is None:
        return None
    most = "" if bill.exact else "at most "
    votes = "" if bill.votes is None else f", votes each: {bill.votes}"
    if bill.calls == bill.verdicts:
        return f"{most}{bill.calls} policy calls and verdicts{votes}"
    return f"{most}{bill.calls} policy calls, {bill.verdicts} verdicts{votes}"


def _about(factory: Callable[..., Any]) -> str:
    """The first sentence of what its author says of it, or of the module that is about it alone."""
    own = (factory.__doc__ or "").strip()
    module = inspect.getmodule(factory)
    of_module = ((module.__doc__ if module else None) or "").strip()
    text = of_module if inspect.isclass(factory) and of_module else own
    return " ".join(text.split("\n\n")[0].split())


def _knobs(factory: Callable[..., Any]) -> list[Knob]:
    from tts.config import knobs, types

    hints = types(factory)
    return [
        Knob(
            name,
            _type(hints.get(name, parameter.annotation)),
            None if parameter.default is parameter.empty else _default(parameter.default),
        )
        for name, parameter in knobs(factory).items()
    ]


def _type(annotation: Any) -> str:
    if inspect.isclass(annotation):
        if issubclass(annotation, Enum):
            return " | ".join(str(member.value) for member in annotation)
        return annotation.__name__
    if get_origin(annotation) is Literal:
        return " | ".join(map(str, get_args(annotation)))
    if get_origin(annotation) in {Union, UnionType}:
        parts = get_args(annotation)
        return " | ".join("None" if part is NoneType else _type(part) for part in parts)
    return str(annotation).replace("typing.", "")


def _default(value: object) -> str:
    return str(value.value) if isinstance(value, Enum) else repr(value)


def listing(kind: Kind, as_json: bool) -> None:
    """Print what is installed of `kind`."""
    import json
    from dataclasses import asdict

    found = entries(kind)
    if as_json:
        print(json.dumps({"schema": f"tts.{kind}/1", kind: [asdict(e) for e in found]}, indent=2))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 1, 0), pad_edge=False, header_style="dim")
    table.add_column("name", style="bold", no_wrap=True)
    table.add_column("what it is", min_width=24)
    table.add_column("knobs", overflow="fold")
    for entry in found:
        about = Text(entry.about) if entry.error is None else Text(entry.error, style="red")
        if entry.papers:
            about.append(f"\n{', '.join(entry.papers)}", style="dim")
        if entry.cost is not None:
            about.append(f"\nCost: {entry.cost}", style="dim")
        knobs = "\n".join(
            f"{knob.name}: {knob.type}" + ("" if knob.default is None else f" = {knob.default}")
            for knob in entry.knobs
        )
        table.add_row(entry.name, about, Text(knobs))
    console = Console(highlight=False)
    console.print(table)
    if kind in REMARKS:
        console.print(Text(REMARKS[kind], style="dim"))
