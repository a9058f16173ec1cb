"""The generative verifier holds the contract that all verifiers hold."""

import pytest

from tts.testing import VerifierContract
from tts.verifier import Verifier
from tts_verifiers.genprm import PROFILES, Effort, GenPRM, Mode, Voting


@pytest.mark.parametrize("mode", list(Mode))
class TestGenPRM(VerifierContract):
    @pytest.fixture
    def verifier(self, kit, mode: Mode) -> Verifier:
        effort = Effort(mode, votes=2, voting=Voting.CHAIN)
        backend = kit.Backend(lambda text, seed: "it is.\n</analyze>\n```\n<output>\n")
        return GenPRM(backend, PROFILES["nano"], effort, runner=kit.Runner())
