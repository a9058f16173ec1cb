"""Registry: plug-ins by name, from entry points. Built-ins have no other way in than strangers.

An entry point of `tts.strategies` or `tts.verifiers` names a class or function whose parameters
are knobs; one of `tts.backends` names a function to a `Backend` whose first parameter is where it
is (what stands after the colon in `nano:/path/to/model`), or `*places`, and whose others are knobs.
One of `tts.models` names a function from such a place, `policy` or `verifier` if there is none, to
the folder of a model that comes along.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, cast

from tts.backends.base import Backend
from tts.backends.priced import Priced, take_prices
from tts.errors import ConfigError, PluginError, TTSError, unknown
from tts.spec import parse

Kind = Literal["strategies", "verifiers", "backends", "benchmarks", "models"]
_SINGULAR: dict[Kind, str] = {
    "strategies": "strategy",
    "verifiers": "verifier",
    "backends": "backend",
    "benchmarks": "benchmark",
    "models": "model",
}
_PORT = re.compile(r"\d+(/|$)")
"""What stands after the colon where an address has no scheme: `localhost:8000`."""


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


def open_engine(spec: str) -> Any:
    """What `spec` names: a `Backend`, or a `Policy` where the engine speaks only text.

    `nano`, `nano:/path/to/model`, `sglang:http://host:port,at_once=64`, `http://host:port`. Each
    can be told prices besides: `...,usd_in=0.2,usd_cached=0.05,usd_out=0.8`.

    Raises:
        ConfigError: no backend of that name, or it cannot use that place or knob.
        BackendError: its server is not there, or is of another kind.
    """
    from tts.config import make_at_places

    parsed, prices = take_prices(parse(spec))
    if parsed.name not in names("backends") and _PORT.match("".join(parsed.places[:1])):
        raise ConfigError(f"{spec!r} does not say what is there: write http://{spec}")
    engine = make_at_places("backends", parsed)
    return engine if prices is None else Priced(engine, prices)


def open_backend(spec: str) -> Backend:
    """The engine that `spec` names, for whoever speaks to it in token ids.

    Raises:
        ConfigError, BackendError: as `open_engine`; also where the engine speaks only text.
    """
    opened = open_engine(spec)
    if not hasattr(opened, "generate"):
        raise ConfigError(
            f"{spec!r} speaks only text, and this needs token ids: use an engine such as "
            "vllm or sglang"
        )
    return cast("Backend", opened)


@cache
def _entry_points(kind: Kind) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=f"tts.{kind}")}
