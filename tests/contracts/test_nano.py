"""The embedded engine holds the contract of a backend, on the weights that come along."""

from collections.abc import Iterator

import anyio
import pytest

from tts.backends.base import Backend
from tts.testing import BackendContract
from tts_nano import open_nano


class TestNano(BackendContract):
    @pytest.fixture
    def backend(self) -> Iterator[Backend]:
        backend = open_nano()
        yield backend
        anyio.run(backend.aclose)
