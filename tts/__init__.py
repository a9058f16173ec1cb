"""Test-time scaling: make a language model answer better by spending compute at answer time.

    async with Engine(policy="nano", verifier="likelihood") as engine:
        result = await engine.solve("Evaluate 37 + 48.", "beam", Budget(tokens=4_000))

Importing this package is cheap: names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from tts._version import __version__ as __version__

if TYPE_CHECKING:
    from tts.budget.budget import Budget as Budget
    from tts.engine import Engine as Engine
    from tts.engine import solve_sync as solve_sync
    from tts.errors import BackendError as BackendError
    from tts.errors import ConfigError as ConfigError
    from tts.errors import PluginError as PluginError
    from tts.errors import SandboxError as SandboxError
    from tts.errors import TTSError as TTSError
    from tts.events import Event as Event
    from tts.events import StopReason as StopReason
    from tts.events import replay as replay
    from tts.policy import LanguagePolicy as LanguagePolicy
    from tts.result import Result as Result
    from tts.select import Candidate as Candidate
    from tts.tree import Node as Node
    from tts.tree import Tree as Tree
    from tts.types import Cost as Cost
    from tts.types import Finish as Finish
    from tts.types import Judgement as Judgement
    from tts.types import Problem as Problem
    from tts.types import Step as Step

_HOME = {
    "BackendError": "tts.errors",
    "Budget": "tts.budget.budget",
    "Candidate": "tts.select",
    "ConfigError": "tts.errors",
    "Cost": "tts.types",
    "Engine": "tts.engine",
    "Event": "tts.events",
    "Finish": "tts.types",
    "Judgement": "tts.types",
    "LanguagePolicy": "tts.policy",
    "Node": "tts.tree",
    "PluginError": "tts.errors",
    "Problem": "tts.types",
    "Result": "tts.result",
    "SandboxError": "tts.errors",
    "Step": "tts.types",
    "StopReason": "tts.events",
    "TTSError": "tts.errors",
    "Tree": "tts.tree",
    "replay": "tts.events",
    "solve_sync": "tts.engine",
}

__all__ = [
    "BackendError",
    "Budget",
    "Candidate",
    "ConfigError",
    "Cost",
    "Engine",
    "Event",
    "Finish",
    "Judgement",
    "LanguagePolicy",
    "Node",
    "PluginError",
    "Problem",
    "Result",
    "SandboxError",
    "Step",
    "StopReason",
    "TTSError",
    "Tree",
    "__version__",
    "replay",
    "solve_sync",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'tts' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
