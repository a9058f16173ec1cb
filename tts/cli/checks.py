"""Checks: the facts about an installation that `tts doctor` tells, each found out by trying."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final, Literal

import anyio

from tts.errors import SandboxError, TTSError, leaves
from tts.extras import EXTRAS, install

PATIENCE_SECONDS: Final = 30.0
"""For an engine to write a few tokens."""
_TOKENS: Final = 8
_QUESTION: Final = "Evaluate 37 + 48."


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "missing", "failed"]
    detail: str
    fix: str = ""
    """A command that gets what is missing."""
    needed: bool = False
    """Whether searches cannot run without."""


async def examine(policy: str | None, verifier: str | None) -> list[Check]:
    """Everything, in the order in which it is worth reading."""
    from tts.registry import names

    checks = [_python(), await _tried("answers", _answers, needed=True)]
    checks += _plugins()
    if policy is None or policy == "nano" or "nano" in names("backends"):
        checks.append(
            await _tried("nano", lambda: _writes("nano"), needed=policy in (None, "nano"))
        )
    writer = "nano"
    if policy not in (None, "nano"):
        asked = str(policy)
        checks.append(await _tried(f"policy {asked}", lambda: _writes(asked), needed=True))
        if checks[-1].state == "ok":  # otherwise nobody could say anything of the verifier
            writer = asked
    if verifier is not None:
        judge = verifier
        checks.append(
            await _tried(f"verifier {judge}", lambda: _judges(judge, writer), needed=True)
        )
    checks.append(await _tried("sandbox", _sandbox, needed=False))
    return checks + [_extra(name, modules) for name, modules in EXTRAS.items()]


async def _tried(name: str, attempt: Callable[[], Awaitable[str]], *, needed: bool) -> Check:
    """The check that `attempt` makes: it returns what is to be told, or raises why not."""
    fix = install("", "--force-reinstall") if name in ("nano", "answers") else ""
    try:
        with anyio.fail_after(PATIENCE_SECONDS):
            return Check(name, "ok", await attempt(), needed=needed)
    except TimeoutError:
        return Check(name, "failed", f"no answer in {PATIENCE_SECONDS:g} s", needed=needed)
    except ModuleNotFoundError as error:
        return Check(name, "missing", f"{error}", fix, needed=needed)
    except Exception as error:
        first = leaves(error)[0] if isinstance(error, BaseExceptionGroup) else error
        kind = "" if isinstance(first, TTSError) else f"{type(first).__name__}: "
        return Check(name, "failed", f"{kind}{first}", fix, needed=needed)


def _python() -> Check:
    from tts._version import __version__

    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", "ok", f"{version}; tts {__version__}", needed=True)


def _plugins() -> list[Check]:
    """One check for all that can be loaded, one for each that cannot."""
    from tts.registry import Kind, load, names

    kinds: tuple[Kind, ...] = ("strategies", "verifiers")
    loaded: dict[str, list[str]] = {kind: [] for kind in kinds}
    failed: list[Check] = []
    for kind in kinds:
        for name in names(kind):
            try:
                load(kind, name)
                loaded[kind].append(name)
            except TTSError as error:
                failed.append(Check(f"{kind} {name}", "failed", str(error)))
    good = [
        Check(kind, "ok" if found else "missing", ", ".join(found) or "none is installed")
        for kind, found in loaded.items()
    ]
    return good + failed


async def _answers() -> str:
    """Compare two answers that only algebra finds equal."""
    from tts.answers import AnswerChecker, Verdict

    begin = time.monotonic()
    async with AnswerChecker() as checker:
        verdict = await checker.equal("(x+1)^2", "x^2+2x+1")
    if verdict is not Verdict.EQUAL:
        raise TTSError(f"(x+1)^2 against x^2+2x+1 is {verdict.value}: the worker does not compare")
    return f"compared by math-verify in {time.monotonic() - begin:.1f} s"


async def _writes(spec: str) -> str:
    """Have an engine write a few tokens."""
    from tts.budget.meter import Meter
    from tts.cli.wording import count, scaled
    from tts.given import open_policy
    from tts.types import Problem

    begin = time.monotonic()
    policy = open_policy(spec)
    loaded = time.monotonic()
    meter = Meter()
    try:
        model = policy.model
        problem = Problem("doctor", _QUESTION)
        await policy.complete(problem, (), max_tokens=_TOKENS, seed=0, meter=meter)
    finally:
        await policy.aclose()
    about = getattr(policy, "about", "")
    return (
        f"{model.name}, {scaled(model.parameters)} parameters, context of "
        f"{count(model.context_tokens)} tokens; opened in {loaded - begin:.2f} s, "
        f"{meter.cost.output_tokens} tokens in {time.monotonic() - loaded:.2f} s"
        + (f"; {about}" if about else "")
    )


async def _judges(name: str, policy: str) -> str:
    """Have a verifier judge one step that `policy` wrote."""
    from tts.budget.meter import Meter
    from tts.cli.order import Order
    from tts.given import open_policy
    from tts.types import Problem
    from tts.verifier import Case, opened

    problem = Problem("doctor", _QUESTION)
    verifier = Order(verifier=name).make_verifier()
    assert verifier is not None
    async with opened(verifier) as critic:
        writer = open_policy(policy)
        try:
            step, *_ = await writer.complete(problem, (), max_tokens=_TOKENS, seed=0, meter=Meter())
        finally:
            await writer.aclose()
        verdicts = await critic.judge(Case(problem, (step,), (), (0,)), Meter())
    score = verdicts[0].score if verdicts and verdicts[0] is not None else None
    return "judged a step" if score is None else f"judged a step: {score:.2f}"


async def _sandbox() -> str:
    """What confines model-written code here; only verifiers that run code need it."""
    from tts.sandbox.pool import describe

    layers = await describe()
    lacking = [layer for layer in layers if layer.required and not layer.holds]
    if lacking:
        reasons = "; ".join(f"{layer.name}: {layer.why}" for layer in lacking)
        raise SandboxError(f"model-written code cannot be confined strictly here: {reasons}")
    missing = [f"{layer.name} does not: {layer.why}" for layer in layers if not layer.holds]
    held = f"strict; {len(layers) - len(missing)} of {len(layers)} protections hold"
    return "; ".join([held, *missing])


def _extra(name: str, modules: tuple[str, ...]) -> Check:
    absent = [module for module in modules if find_spec(module) is None]
    if absent:
        return Check(f"extra {name}", "missing", f"no {', no '.join(absent)}", install(name))
    return Check(f"extra {name}", "ok", ", ".join(modules))
