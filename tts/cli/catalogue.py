"""`tts strategies`, `tts verifiers`, `tts backends`: what is installed, and its knobs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from tts.cli.arguments import Json

if TYPE_CHECKING:
    from tts.registry import Kind


def strategies(as_json: Json = False) -> None:
    """List the search strategies and their knobs (set them by --set NAME=VALUE)."""
    listing("strategies", as_json)


def verifiers(as_json: Json = False) -> None:
    """List the verifiers and their knobs (set them by --set verifier.NAME=VALUE)."""
    listing("verifiers", as_json)


def backends(as_json: Json = False) -> None:
    """List the engines that --policy can name: NAME, NAME:PLACE or NAME:PLACE,KNOB=VALUE,..."""
    listing("backends", as_json)


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
    error: str | None = None
    """Why it cannot be loaded."""


def entries(kind: Kind) -> list[Entry]:
    """What is installed of `kind`, also what cannot be loaded."""
    from tts.registry import names

    return [_entry(kind, name) for name in names(kind)]


def _entry(kind: Kind, name: str) -> Entry:
    from tts.errors import TTSError
    from tts.registry import load

    try:
        factory = load(kind, name)
    except TTSError as error:
        return Entry(name, "", error=str(error))
    knobs = _knobs(factory)
    return Entry(name, _about(factory), knobs[1:] if kind == "backends" else knobs)


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
        knobs = "\n".join(
            f"{knob.name}: {knob.type}" + ("" if knob.default is None else f" = {knob.default}")
            for knob in entry.knobs
        )
        table.add_row(entry.name, about, Text(knobs))
    Console(highlight=False).print(table)
