"""Real engines hold the contract of a backend."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tts.backends.base import Backend
from tts.registry import open_backend
from tts.testing import BackendContract

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300)]


class TestEngine(BackendContract):
    @pytest.fixture(autouse=True)
    def deciding_seeds(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        # SGLang's torch-native attention does not look at seeds.
        monkeypatch.setattr(type(self), "seeds_decide", kind == "vllm")

    @pytest.fixture
    async def backend(self, server: Any) -> AsyncIterator[Backend]:
        backend = open_backend(server.spec)
        yield backend
        await backend.aclose()
