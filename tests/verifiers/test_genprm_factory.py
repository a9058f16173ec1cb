"""Verifiers by name, with knobs as people type them."""

import pytest

from tts.budget.meter import Meter
from tts.config import build
from tts.errors import ConfigError
from tts.verifier import Reduction
from tts_verifiers.genprm import Effort, GenPRM, Mode, Outvoted, Voting
from tts_verifiers.genprm.factory import genprm_7b, genprm_nano
from tts_verifiers.judge import judge
from tts_verifiers.prm.factory import math_shepherd, rlhflow

pytestmark = pytest.mark.anyio


def test_every_knob_can_be_typed() -> None:
    knobs = {"mode": "adaptive", "votes": "4", "voting": "chain", "outvoted": "keep", "tau": "0.2"}
    knobs |= {"tokens": "99", "rounds": "2", "stop_at_wrong": "yes", "reduction": "product"}
    verifier = build("genprm-7b", genprm_7b, {"backend": "fake", "profile": "paper", **knobs})
    effort = Effort(
        Mode.ADAPTIVE, 4, Voting.CHAIN, Outvoted.KEEP, 99, 2, tau=0.2, stop_at_wrong=True
    )
    assert isinstance(verifier, GenPRM)
    assert verifier._effort == effort
    assert verifier.reduction is Reduction.PRODUCT
    assert verifier._notation.profile.name == "paper"


def test_a_wrong_profile_names_the_right_ones() -> None:
    with pytest.raises(ConfigError, match="card, critic, later, nano, paper"):
        genprm_7b("fake", profile="cards")


def test_the_nano_one_runs_its_code() -> None:
    verifier = genprm_nano("fake")
    assert verifier._effort.mode is Mode.CODE
    assert verifier._runner is not None


@pytest.mark.parametrize("factory", [rlhflow, math_shepherd, judge])
async def test_the_others_open_their_engine(kit, factory) -> None:
    verifier = build("other", factory, {"backend": "fake"})
    (verdict,) = await verifier.judge(kit.case("6 is 6"), Meter())
    assert verdict is None or verdict.score is not None
    await verifier.aclose()
