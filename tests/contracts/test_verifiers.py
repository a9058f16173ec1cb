"""The verifiers that need no model hold the contract that all must hold."""

from collections.abc import Sequence

import pytest

from tts.budget.meter import Meter
from tts.function import FunctionVerifier
from tts.testing import VerifierContract
from tts.testing.verifier import case
from tts.types import Finish, Problem, Step
from tts.verifier import Case, Verifier
from tts_verifiers.likelihood import Likelihood


class TestLikelihood(VerifierContract):
    @pytest.fixture
    def verifier(self) -> Verifier:
        return Likelihood()

    async def test_scores_a_step_by_the_mean_probability_of_its_tokens(self) -> None:
        step = Step("ab", (1, 2), logprob=-0.4, finish=Finish.EOS)
        (verdict,) = await Likelihood().judge(Case(Problem("p", "?"), (step,), (), (0,)), Meter())
        assert verdict is not None
        assert verdict.score == pytest.approx(0.8187, abs=1e-4)

    async def test_abstains_without_tokens(self) -> None:
        step = Step("ab", finish=Finish.EOS)
        (verdict,) = await Likelihood().judge(Case(Problem("p", "?"), (step,), (), (0,)), Meter())
        assert verdict is not None
        assert verdict.score is None


class TestFunction(VerifierContract):
    @pytest.fixture
    def verifier(self) -> Verifier:
        async def short_is_good(prompt: str, steps: Sequence[str]) -> list[float | None]:
            return [1.0 if len(step) < 10 else None for step in steps]

        return FunctionVerifier(short_is_good)

    async def test_a_score_out_of_range_is_an_error(self) -> None:
        async def proud(prompt: str, steps: Sequence[str]) -> list[float]:
            return [11.0] * len(steps)

        with pytest.raises(ValueError, match=r"not in \[0, 1\]"):
            await FunctionVerifier(proud).judge(case("a"), Meter())
