"""Clients of SGLang and vLLM hold the contract of a backend, before servers of these shapes."""

import pytest

from tts.backends.base import Backend
from tts.backends.remote.backend import RemoteBackend
from tts.testing import BackendContract


class TestRemote(BackendContract):
    @pytest.fixture(autouse=True)
    def deciding_seeds(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(self), "seeds_decide", kind == "vllm")

    @pytest.fixture
    def backend(self, remote: RemoteBackend) -> Backend:
        return remote
