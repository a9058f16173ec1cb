"""Registry: plug-ins by name, from entry points. Built-ins have no other way in than strangers.

An entry point of `tts.strategies` or `tts.verifiers` names a class or function whose parameters
are knobs; one of `tts.backends` names a function from a location (what stands after the colon in
`nano:/path/to/model`) to a `Backend`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, cast

from tts.backends.base import Backend
from tts.errors import PluginError, TTSError, unknown

Kind = Literal["strategies", "verifiers", "backends", "benchmarks"]
_SINGULAR: dict[Kind, str] = {
    "strategies": "strategy",
    "verifiers": "verifier",
    "backends": "backend",
    "benchmarks": "benchmark",
}


def names(kind: Kind) -> list[str]:
    """What is installed of `kind`, sorted; nothing is imported."""
    return sorted(_entry_points(kind))


def load(kind: Kind, name: str) -> Callable[..., Any]:
    """The class or function registered as `name`; imports its module.

    Raises:
        ConfigError: there is none of that name; the message lists those that there are.
        PluginError: its module cannot be imported.
    """
    points = _entry_points(kind)
    if name not in points:
        raise unknown(_SINGULAR[kind], name, points)
    try:
        return cast("Callable[..., Any]", points[name].load())
    except TTSError:
        raise
    except Exception as error:
        raise PluginError(
            f"{_SINGULAR[kind]} {name!r} ({points[name].value}) cannot be loaded: {error}"
        ) from error


def open_backend(spec: str) -> Backend:
    """The engine that `spec` names: `nano`, `nano:/path/to/model`, `http://host:port`.

    Raises:
        ConfigError: no backend of that name, or it cannot use that location.
    """
    name, _, location = spec.partition(":")
    return cast("Backend", load("backends", name)(location))


@cache
def _entry_points(kind: Kind) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=f"tts.{kind}")}
