"""The built-in strategies hold the contract that a stranger's must hold."""

import pytest

from tts.strategy import Strategy
from tts.testing import StrategyContract
from tts_strategies.beam import Beam
from tts_strategies.best_of_n import BestOfN
from tts_strategies.dvts import DVTS


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
