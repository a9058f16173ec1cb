"""Spec: a plug-in and what it is told, in one line of text.

    beam                                     a name
    beam:n=8,width=2                         with knobs
    nano:/path/to/model                      with a place
    sglang:http://a:1,http://b:1,at_once=64  with places and knobs
    judge:backend=[vllm:http://a:1,at_once=64],votes=4

What stands in square brackets is one piece, so that a spec can be a knob of another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tts.errors import ConfigError

_UNPARTED = re.compile(r"([\w.-]+)\s*,\s*([A-Za-z_][\w.]*\s*=.*)", re.DOTALL)
"""A name with knobs, and no colon between."""
_KNOB = re.compile(r"\s*([A-Za-z_][\w.]*)\s*=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Spec:
    """A spec, taken apart."""

    name: str
    places: tuple[str, ...] = ()
    """Where it is: paths or addresses, in order."""
    knobs: Mapping[str, str] = field(default_factory=dict)


def parse(text: str) -> Spec:
    """Take `text` apart.

    Raises:
        ConfigError: a bracket is not closed, a knob is set twice, or no colon ends the name.
    """
    if unparted := _UNPARTED.fullmatch(text):
        raise ConfigError(f"knobs of {unparted[1]} come after a colon: {unparted[1]}:{unparted[2]}")
    name, _, rest = text.partition(":")
    places: list[str] = []
    knobs: dict[str, str] = {}
    for piece in _pieces(rest, text):
        found = _KNOB.fullmatch(piece)
        if found is None:
            places.append(_unwrapped(piece))
            continue
        knob, value = found[1], _unwrapped(found[2])
        if knob in knobs:
            raise ConfigError(f"{knob} of {name} is set twice")
        knobs[knob] = value
    return Spec(name.strip(), tuple(places), knobs)


def _pieces(text: str, whole: str) -> list[str]:
    """`text` cut at the commas that stand outside of brackets."""
    pieces, depth = [""], 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if depth < 0:
            break
        if letter == "," and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += letter
    if depth:
        raise ConfigError(f"a bracket of {whole!r} has no partner")
    return [piece for piece in pieces if piece.strip()]


def _unwrapped(piece: str) -> str:
    piece = piece.strip()
    return piece[1:-1] if piece.startswith("[") and piece.endswith("]") else piece
