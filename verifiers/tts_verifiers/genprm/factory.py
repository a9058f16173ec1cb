"""Factory: generative verifiers by name, with the knobs that their models were made for."""

from __future__ import annotations

import math
from dataclasses import replace

from tts.backends.base import Backend
from tts.errors import ConfigError
from tts.registry import open_backend
from tts.sandbox.config import Tier
from tts.verifier import ZHAO, Reduction, cites
from tts_verifiers.genprm.ballot import Outvoted, Voting
from tts_verifiers.genprm.code import CodeRunner
from tts_verifiers.genprm.effort import GENPRM_SAMPLING, NANO, Effort, Mode
from tts_verifiers.genprm.profiles import profile as profile_named
from tts_verifiers.genprm.sequential import Decisive
from tts_verifiers.genprm.verifier import GenPRM


@cites(ZHAO)
def genprm_7b(
    backend: str,
    profile: str = "card",
    mode: Mode = Mode.COT,
    votes: int = 1,
    voting: Voting = Voting.STEP,
    outvoted: Outvoted = Outvoted.ADOPT,
    tokens: int = 2048,
    rounds: int = 3,
    tau: float = 0.1,
    decisive: Decisive = Decisive.NO,
    apart: bool = False,
    stop_at_wrong: bool = False,
    reduction: Reduction = Reduction.MIN,
    temperature: float = GENPRM_SAMPLING.temperature,
    sandbox: Tier = "strict",
) -> GenPRM:
    """A released GenPRM (1.5B, 7B or 32B) behind an engine; `backend` is its spec.

    By default it reasons without code: in the paper's ablation (tab. 5) code adds 1.2 points of F1
    to an analysis, for several times the calls. `mode=code` is the paper's method. `sandbox` is the
    least protection under which its code may run. `decisive` ends a poll when the verdict stands;
    `apart` lets a search that prunes cancel single votes.
    """
    effort = Effort(
        mode,
        votes,
        voting,
        outvoted,
        tokens=tokens,
        rounds=rounds,
        tau=tau,
        decisive=decisive,
        apart=apart,
        stop_at_wrong=stop_at_wrong,
        sampling=replace(GENPRM_SAMPLING, temperature=_checked(temperature)),
    )
    return _made(open_backend(backend), profile, effort, sandbox, reduction)


@cites(ZHAO)
def genprm_nano(
    backend: str = "nano:verifier",
    mode: Mode = NANO.mode,
    votes: int = 1,
    voting: Voting = Voting.STEP,
    outvoted: Outvoted = Outvoted.ADOPT,
    tokens: int = NANO.tokens,
    rounds: int = NANO.rounds,
    tau: float = 0.1,
    decisive: Decisive = Decisive.NO,
    apart: bool = False,
    stop_at_wrong: bool = NANO.stop_at_wrong,
    reduction: Reduction = Reduction.MIN,
    temperature: float = GENPRM_SAMPLING.temperature,
    sandbox: Tier = "strict",
) -> GenPRM:
    """The nano GenPRM. It has to run its code: without, it copies what it should recompute.

    `backend=nano:verifier-cot` is one that computes in words, `nano:verifier-weak` a weak one.
    What follows a step that it calls wrong is not judged: the least score decides about a prefix.
    `temperature` 0 is greedy: best for one vote, and the same for all of several.
    """
    effort = replace(
        NANO,
        mode=mode,
        votes=votes,
        voting=voting,
        outvoted=outvoted,
        tokens=tokens,
        rounds=rounds,
        tau=tau,
        decisive=decisive,
        apart=apart,
        stop_at_wrong=stop_at_wrong,
        sampling=replace(GENPRM_SAMPLING, temperature=_checked(temperature)),
    )
    return _made(open_backend(backend), "nano", effort, sandbox, reduction)


def _checked(temperature: float) -> float:
    if not 0 <= temperature < math.inf:
        raise ConfigError(f"temperature={temperature} must be 0 or above")
    return temperature


def _made(
    backend: Backend, profile: str, effort: Effort, tier: Tier, reduction: Reduction
) -> GenPRM:
    runner: CodeRunner | None = None
    if effort.runs_code:
        from tts_verifiers.genprm.sandbox import AS_TRAINED, SandboxRunner

        runner = SandboxRunner(replace(AS_TRAINED, tier=tier))
    return GenPRM(backend, profile_named(profile), effort, runner=runner, reduction=reduction)
