"""Errors: what a caller did wrong, or what died. Outcomes (an abstention) are values.

TTSError
├── ConfigError     a value the caller gave cannot be used; says which are allowed
├── BackendError    an engine failed
│   ├── Unavailable     it cannot be reached, or died and did not come back in time
│   │   └── Lost            it died over a request, which can be asked again
│   ├── Overlong        the prompt does not fit its context window
│   └── BadReply        it answered with something that is not an answer
├── SandboxError    model-written code cannot be run safely here
└── PluginError     an entry point could not be loaded, or broke its contract
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TTSError(Exception):
    """Root of all errors that `tts` raises on purpose."""


class ConfigError(TTSError, ValueError):
    """A value the caller gave cannot be used."""


class BackendError(TTSError):
    """An engine failed to do what was asked of it."""


class Unavailable(BackendError):
    """The engine cannot be reached."""


class Lost(Unavailable):
    """The engine went away while it had a request: paid for, perhaps, and never answered."""


class Overlong(BackendError):
    """The prompt does not fit the engine's context window."""


class BadReply(BackendError):
    """The engine answered with something that is not an answer."""


class SandboxError(TTSError):
    """Model-written code cannot be run safely here."""


class PluginError(TTSError):
    """An entry point could not be loaded, or broke its contract."""


def unknown(kind: str, name: str, allowed: Iterable[str]) -> ConfigError:
    """An error for an unknown `name` that points to the nearest allowed one and lists them all."""
    names = sorted(allowed)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return ConfigError(f"unknown {kind} {name!r}{hint} (allowed: {', '.join(names) or 'none'})")


def leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """The errors themselves, out of however many nested groups."""
    errors: list[BaseException] = []
    for error in group.exceptions:
        errors.extend(leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return errors
