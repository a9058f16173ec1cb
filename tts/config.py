"""Config: knobs as they come from outside, made into values. The only judge of foreign input."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from tts.errors import ConfigError, TTSError, unknown
from tts.presets import presets
from tts.registry import Kind, load, names
from tts.spec import Spec, parse


def knobs(factory: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """What `factory` can be told, by name, in its order."""
    return dict(inspect.signature(factory).parameters)


def types(factory: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of `factory`'s parameters, by name, evaluated."""
    if isinstance(factory, partial):
        return types(factory.func)
    function = factory.__init__ if inspect.isclass(factory) else factory
    written = getattr(function, "__annotations__", {})
    # What it returns may be named for type checkers only, so that it need not be imported.
    asked = {name: annotation for name, annotation in written.items() if name != "return"}
    return get_type_hints(
        SimpleNamespace(__annotations__=asked), getattr(function, "__globals__", {})
    )


def build(name: str, factory: Callable[..., Any], given: Mapping[str, object]) -> Any:
    """`factory` called with knobs that may still be text, each parsed as its annotation says.

    Raises:
        ConfigError: an unknown knob (the message lists the known ones), or a value that is not
            of its type or out of its range.
    """
    known = {
        knob: parameter
        for knob, parameter in knobs(factory).items()
        if parameter.kind is not parameter.VAR_POSITIONAL
    }
    for knob in given:
        if knob not in known:
            raise unknown(f"knob of {name}", knob, known)
    hints = types(factory)
    values: dict[str, Any] = {}
    for knob, value in given.items():
        adapter = TypeAdapter(
            hints.get(knob, object), config=ConfigDict(arbitrary_types_allowed=True)
        )
        try:
            values[knob] = adapter.validate_python(value)
        except ValidationError as error:
            raise ConfigError(f"{name}: {knob}={value!r}: {complaint(error)}") from None
    missing = [
        knob
        for knob, parameter in known.items()
        if knob not in values and parameter.default is parameter.empty
    ]
    if missing:
        raise ConfigError(f"{name} has to be told {', '.join(missing)}: {name}:{missing[0]}=...")
    return factory(**values)


def complaint(error: ValidationError) -> str:
    """What is wrong with a value, after a colon: `must be a valid integer`."""
    said = error.errors()[0]["msg"].removeprefix("Value error, ")
    said = said.replace("Input should be", "must be", 1)
    return f"{said[0].lower()}{said[1:]}"


def make(kind: Kind, spec: str) -> Any:
    """The plug-in that `spec` names, with its knobs: `beam`, `beam:n=8,width=2`, or a preset.

    Raises:
        ConfigError: there is none of that name, or a knob cannot be used.
    """
    return make_with(kind, spec, ())


def make_with(kind: Kind, spec: str, more: Iterable[tuple[str, str]]) -> Any:
    """As `make`, with knobs besides those in `spec`, as pairs of name and value.

    Raises:
        ConfigError: as there, or a knob is set twice, of which one would silently be ignored.
    """
    parsed = parse(spec)
    name, registered, given = parsed.name, parsed.name, dict[str, object](parsed.knobs)
    if parsed.places:
        place = parsed.places[0]
        raise ConfigError(f"{place!r} in {spec!r} is not a knob; write {name}:knob=value,...")
    for knob, value in more:
        if knob in given:
            raise ConfigError(f"{knob} of {name} is set twice")
        given[knob] = value
    if kind == "strategies":
        if (preset := presets().get(name)) is not None:
            registered, given = preset.strategy, {**preset.knobs, **given}
        elif name not in names(kind):
            raise unknown("strategy", name, [*names(kind), *presets()])
    return build(name, load(kind, registered), given)


def pair(text: str, where: str) -> tuple[str, str]:
    """`width=4` as name and value.

    Raises:
        ConfigError: it is neither; the message says that it stood in `where`.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ConfigError(f"{text!r} in {where} must be NAME=VALUE, such as width=4")
    return name.strip(), value.strip()


def make_at_places(kind: Kind, spec: Spec) -> Any:
    """The plug-in that `spec` names, at its places: `nano:/path`, `vllm:http://a,http://b`.

    The function registered for it takes the places first: one, or any number (`*places`).

    Raises:
        ConfigError: there is none of that name, or a place or knob cannot be used.
    """
    name, factory = spec.name, load(kind, spec.name)
    first, *_ = knobs(factory).values()
    places: tuple[str, ...] = spec.places
    if first.kind is not first.VAR_POSITIONAL:
        if len(places) > 1:
            raise ConfigError(f"{name} is at one place, not at {' and '.join(places)}")
        places = places or ("",)
    told = list(knobs(factory))[1:]
    for knob in spec.knobs:
        if knob not in told:
            others = _takers(kind, knob)
            hint = f"; {', '.join(others)} take it: name the kind" if others else ""
            raise ConfigError(f"{unknown(f'knob of {name}', knob, told)}{hint}")
    return build(name, partial(factory, *places), spec.knobs)


def _takers(kind: Kind, knob: str) -> list[str]:
    """The plug-ins at places that can be told `knob`, by name."""
    takers: list[str] = []
    for name in names(kind):
        with suppress(TTSError):  # it cannot be loaded
            if knob in list(knobs(load(kind, name)))[1:]:
                takers.append(name)
    return takers
