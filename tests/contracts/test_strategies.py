"""The built-in strategies hold the contract that a stranger's must hold."""

from pathlib import Path

import pytest

from tts.backends.base import Dialect
from tts.registry import load, names
from tts.strategy import Strategy
from tts.testing import StrategyContract
from tts_strategies.ab_mcts import ABMCTS
from tts_strategies.adaptive_consistency import AdaptiveConsistency
from tts_strategies.beam import Beam
from tts_strategies.best_of_n import BestOfN
from tts_strategies.by_law import ByLaw
from tts_strategies.by_table import ByTable
from tts_strategies.deepconf import DeepConf
from tts_strategies.dvts import DVTS
from tts_strategies.eager_beam import EagerBeam
from tts_strategies.early_stopping import EarlyStopping
from tts_strategies.ets import ETS
from tts_strategies.lookahead import Lookahead
from tts_strategies.mcts import MCTS, Rule
from tts_strategies.particles import Particles
from tts_strategies.rebase import Rebase
from tts_strategies.refine import Refine
from tts_strategies.rstar import RStar
from tts_strategies.split import Split
from tts_strategies.value_of_information import ValueOfInformation

TABLE = Path(__file__).parents[1] / "strategies/table.json"


class TestBestOfN(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return BestOfN(n=8)


class TestBeam(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return Beam(n=8, width=3)


class TestDVTS(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return DVTS(n=8, width=4)


class TestRebase(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return Rebase(n=6)


class TestParticles(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return Particles(n=5)


class TestRefine(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return Refine(n=3, turns=2)


class TestMCTS(StrategyContract):
    order_free = False  # walks decide by what others have found so far

    @pytest.fixture
    def strategy(self) -> Strategy:
        return MCTS(simulations=30, width=3, workers=4)


class TestUCT(StrategyContract):
    order_free = False

    @pytest.fixture
    def strategy(self) -> Strategy:
        return MCTS(simulations=30, width=2, workers=3, rule=Rule.UCT)


class TestValueOfInformation(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return ValueOfInformation(at_most=8)


class TestSplit(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return Split(samples=5, votes=2)


class TestByLaw(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return ByLaw(at_most=6, votes_at_one=1.0)


class TestByTable(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return ByTable(path=str(TABLE), pilot=3)


class TestAdaptiveConsistency(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return AdaptiveConsistency(n=9, at_once=3)


class TestEarlyStopping(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return EarlyStopping(n=11, window=3)


class TestDeepConf(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return DeepConf(n=9, warmup=3, window=16, at_once=3)


class TestEagerBeam(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return EagerBeam(n=8, width=3)


class TestLookahead(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return Lookahead(n=6, width=2, steps=2)


class TestETS(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return ETS(n=6)


class TestRStar(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return RStar(rollouts=6)


class TestABMCTS(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return ABMCTS(n=7, at_once=2)


class TestParticleGibbs(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return Particles(n=4, sweeps=3)


TOLD = Dialect(system="Think.", user="{problem}", step_tokens=64, answer_tokens=400)


class TestRefineByRewriting(TestRefine):
    dialect = TOLD


class TestABMCTSByRewriting(TestABMCTS):
    dialect = TOLD


class TestRStarWithAllItsActions(TestRStar):
    dialect = TOLD


def test_every_installed_strategy_is_held_to_the_contract() -> None:
    held = {type(suite.strategy.__wrapped__(None)) for suite in StrategyContract.__subclasses__()}
    assert {load("strategies", name) for name in names("strategies")} <= held
