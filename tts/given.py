"""Given: what a caller gives an engine, in one of several forms, made into what it stands for."""

from __future__ import annotations

import inspect
from typing import cast

from tts.config import make
from tts.errors import ConfigError, unknown
from tts.function import FunctionPolicy, FunctionVerifier, Scorer, Writer
from tts.policy import LanguagePolicy, Policy
from tts.registry import open_engine
from tts.select import SELECTORS, Selector
from tts.strategy import Strategy
from tts.types import Problem
from tts.verifier import Verifier


def open_policy(spec: str) -> Policy:
    """The policy over the engine that `spec` names.

    Raises:
        ConfigError: there is no such engine, or a knob cannot be used.
        BackendError: its server cannot be reached.
    """
    engine = open_engine(spec)
    return LanguagePolicy(engine) if hasattr(engine, "generate") else cast("Policy", engine)


def policy_of(given: str | Policy | Writer) -> Policy:
    """A policy by its spec, by itself, or by a function.

    Raises:
        ConfigError, BackendError: as `open_policy`; also where it is none of these.
    """
    if isinstance(given, str):
        return open_policy(given)
    if _can(given, "complete"):
        return cast("Policy", given)
    if _can(given, "__call__"):
        return FunctionPolicy(cast("Writer", given))
    raise ConfigError(
        f"policy={given!r} cannot write: give a spec such as 'nano' or 'vllm:http://host:8000', a "
        "Policy (of a backend: LanguagePolicy(backend)), or a coroutine function from a prompt and "
        "a seed to a solution"
    )


def verifier_of(given: str | Verifier | Scorer | None) -> Verifier | None:
    """A verifier by its spec, by itself, or by a function; None stays None.

    Raises:
        ConfigError: it is none of these, or there is none of that name.
    """
    if given is None:
        return None
    if isinstance(given, str):
        return cast("Verifier", make("verifiers", given))
    if _can(given, "judge"):
        return cast("Verifier", given)
    if _can(given, "__call__"):
        return FunctionVerifier(cast("Scorer", given))
    raise ConfigError(
        f"verifier={given!r} cannot judge: give a spec such as 'likelihood', a Verifier, or a "
        "coroutine function from a prompt and the steps so far to a score for each"
    )


def strategy_of(given: str | Strategy) -> Strategy:
    """A strategy by its spec, or by itself.

    Raises:
        ConfigError: it is neither, or there is none of that name.
    """
    if isinstance(given, str):
        return cast("Strategy", make("strategies", given))
    if _can(given, "run"):
        return given
    raise ConfigError(
        f"strategy={given!r} cannot search: give a spec such as 'beam:n=8', or a value such as "
        "Beam(n=8)"
    )


def selector_of(given: str | Selector | None) -> Selector | None:
    """A selector by its name, or by itself; None stays None.

    Raises:
        ConfigError: it is neither, or there is none of that name.
    """
    if isinstance(given, str):
        if given not in SELECTORS:
            raise unknown("selector", given, SELECTORS)
        return SELECTORS[given]
    if given is not None and not callable(given):
        raise ConfigError(
            f"select={given!r} cannot choose: give one of {', '.join(sorted(SELECTORS))}, or a "
            "function from candidates to a choice"
        )
    return given


def problem_of(given: str | Problem, id: str) -> Problem:
    """A problem by itself, or by its text, which is then called `id`.

    Raises:
        ConfigError: it is neither, or empty.
    """
    problem = Problem(id, given) if isinstance(given, str) else given
    if not isinstance(problem, Problem):
        raise ConfigError(f"{given!r} is not a problem: give its text, or a Problem")
    if not problem.prompt.strip():
        raise ConfigError("the problem is empty")
    return problem


def _can(given: object, what: str) -> bool:
    """Whether `given` is a value with that method; a class is not one yet."""
    return not inspect.isclass(given) and callable(getattr(given, what, None))
