"""Run model-written Python: confined, with deadlines, a few milliseconds a snippet.

`SandboxPool` runs snippets; `Session` lets the blocks of one solution share a namespace; `describe`
says what protections this machine offers; `compat` speaks GenPRM's format.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import SandboxConfig
    from .layers import Layer
    from .outcome import Outcome, Status
    from .pool import SandboxPool, describe
    from .session import Session

__all__ = ["Layer", "Outcome", "SandboxConfig", "SandboxPool", "Session", "Status", "describe"]

_HOME = {
    "Layer": "layers",
    "Outcome": "outcome",
    "SandboxConfig": "config",
    "SandboxPool": "pool",
    "Session": "session",
    "Status": "outcome",
    "describe": "pool",
}


def __getattr__(name: str) -> Any:
    """Import a name's module on first use: most runs of `tts` execute no code."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
