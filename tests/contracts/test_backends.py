"""The fake engine holds the contract that real ones must hold."""

import pytest

from tts.backends.base import Backend, Request
from tts.backends.fake import FakeBackend
from tts.budget.meter import Meter
from tts.testing import BackendContract


class TestFake(BackendContract):
    @pytest.fixture
    def backend(self) -> Backend:
        return FakeBackend(context_tokens=2_000)

    async def test_a_fault_is_raised_and_books_no_tokens(self, prompt: tuple[int, ...]) -> None:
        faulty = FakeBackend(fault=lambda request: OSError("unplugged"))
        meter = Meter()
        with pytest.raises(OSError, match="unplugged"):
            await faulty.generate(Request(prompt, 10), meter)
        assert meter.cost.output_tokens == 0
        assert faulty.in_flight == 0
