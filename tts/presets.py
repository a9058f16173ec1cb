"""Presets: settings that others have published, by name, each with where they are from.

A package that brings some has an entry point of the group `tts.presets` that names it, and a file
`presets.toml` in it. A preset's name can stand wherever a strategy's can; what is said besides it
(knobs, a selector, a temperature) goes before what it says.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from importlib.metadata import entry_points
from importlib.resources import files
from typing import Any

from tts.errors import PluginError


@dataclass(frozen=True, slots=True)
class Preset:
    """A strategy with its knobs, and what goes with it."""

    name: str
    strategy: str
    about: str
    source: str
    """Where the settings stand, and at which commit or in which section."""
    knobs: Mapping[str, Any] = field(default_factory=dict)
    select: str | None = None
    temperature: float | None = None
    """Of the policy. None: the source does not say, or says that of its model's makers."""
    differs: str = ""
    """What is not the same here."""


@cache
def presets() -> Mapping[str, Preset]:
    """All that are installed, by name.

    Raises:
        PluginError: a package's file is missing or cannot be read, or a name occurs twice.
    """
    found: dict[str, Preset] = {}
    for point in entry_points(group="tts.presets"):
        for preset in _read(point.value):
            if preset.name in found:
                raise PluginError(f"two packages bring a preset {preset.name!r}")
            found[preset.name] = preset
    return dict(sorted(found.items()))


def _read(package: str) -> list[Preset]:
    try:
        tables = tomllib.loads((files(package) / "presets.toml").read_text(encoding="utf-8"))
        return [Preset(name, **table) for name, table in tables.items()]
    except (OSError, ImportError, tomllib.TOMLDecodeError) as error:
        raise PluginError(f"presets of {package} cannot be read: {error}") from error
    except TypeError as error:
        known = ", ".join(each.name for each in fields(Preset) if each.name != "name")
        raise PluginError(f"presets of {package}: {error} (a preset has {known})") from error
