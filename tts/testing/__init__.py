"""Contract suites for authors of strategies, verifiers and backends.

Inherit one in a test module, give the fixture that it asks for, and pytest holds your plug-in to
what the built-ins are held to:

    class TestMyStrategy(StrategyContract):
        @pytest.fixture
        def strategy(self) -> Strategy:
            return MyStrategy(n=8)

Needs pytest and trio (for the virtual clock); both come with the extra `dev`.
"""

from __future__ import annotations

from tts.testing.backend import BackendContract as BackendContract
from tts.testing.bench import Bench as Bench
from tts.testing.strategy import StrategyContract as StrategyContract
from tts.testing.verifier import VerifierContract as VerifierContract

__all__ = ["BackendContract", "Bench", "StrategyContract", "VerifierContract"]
