"""The built-in strategies hold the contract that a stranger's must hold."""

import pytest

from tts.strategy import Strategy
from tts.testing import StrategyContract
from tts_strategies.beam import Beam
from tts_strategies.best_of_n import BestOfN
from tts_strategies.dvts import DVTS
from tts_strategies.mcts import MCTS, Rule
from tts_strategies.particles import Particles
from tts_strategies.rebase import Rebase
from tts_strategies.refine import Refine
from tts_strategies.value_of_information import ValueOfInformation


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
