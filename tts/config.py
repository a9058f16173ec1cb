"""Config: knobs as they come from outside, made into values. The only judge of foreign input."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from tts.errors import ConfigError, unknown
from tts.registry import Kind, load


def knobs(factory: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """What `factory` can be told, by name, in its order."""
    return dict(inspect.signature(factory).parameters)


def build(name: str, factory: Callable[..., Any], given: Mapping[str, object]) -> Any:
    """`factory` called with knobs that may still be text, each parsed as its annotation says.

    Raises:
        ConfigError: an unknown knob (the message lists the known ones), or a value that is not
            of its type or out of its range.
    """
    known = knobs(factory)
    for knob in given:
        if knob not in known:
            raise unknown(f"knob of {name}", knob, known)
    hints = get_type_hints(factory.__init__ if inspect.isclass(factory) else factory)
    values: dict[str, Any] = {}
    for knob, value in given.items():
        adapter = TypeAdapter(
            hints.get(knob, object), config=ConfigDict(arbitrary_types_allowed=True)
        )
        try:
            values[knob] = adapter.validate_python(value)
        except ValidationError as error:
            problem = error.errors()[0]["msg"].lower()
            raise ConfigError(f"{name}: {knob}={value!r}: {problem}") from None
    missing = [
        knob
        for knob, parameter in known.items()
        if knob not in values and parameter.default is parameter.empty
    ]
    if missing:
        raise ConfigError(f"{name} has to be told {', '.join(missing)}: {name}:{missing[0]}=...")
    return factory(**values)


def make(kind: Kind, spec: str) -> Any:
    """The plug-in that `spec` names, with its knobs: `beam`, `beam:n=8,width=2`.

    Raises:
        ConfigError: there is none of that name, or a knob cannot be used.
    """
    name, pairs = parse(spec)
    return build(name, load(kind, name), once(name, pairs))


def parse(spec: str) -> tuple[str, list[tuple[str, str]]]:
    """A spec as a name and its knobs: `beam:n=8,width=2`.

    A knob that is a spec itself stands in parentheses if it has commas:
    `cascade:first=likelihood,then=(genprm-nano:votes=2,mode=code)`.

    Raises:
        ConfigError: a knob without a value, or parentheses that do not match.
    """
    name, _, rest = spec.strip().partition(":")
    parts, depth = [""], 0
    for character in rest:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0:
            break
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    if depth:
        raise ConfigError(f"parentheses in {spec!r} do not match")
    return name, [pair(part, spec) for part in parts if part]


def pair(knob: str, where: str) -> tuple[str, str]:
    """`width=4` as a name and a value, which parentheses may enclose.

    Raises:
        ConfigError: it is not of that form.
    """
    name, equals, value = (part.strip() for part in knob.partition("="))
    if not equals or not name:
        raise ConfigError(f"{knob!r} in {where} must be NAME=VALUE, such as width=4")
    if value.startswith("(") and value.endswith(")"):
        value = value[1:-1]
    return name, value


def once(name: str, pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Knobs by name.

    Raises:
        ConfigError: one is set twice: it would silently be ignored once.
    """
    given: dict[str, str] = {}
    for knob, value in pairs:
        if knob in given:
            raise ConfigError(f"{knob} of {name} is set twice")
        given[knob] = value
    return given
