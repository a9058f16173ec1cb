"""Servers in the test's own process, over the embedded engine."""

from collections.abc import AsyncIterator

import pytest

from tts.backends.base import Backend
from tts.backends.remote.backend import RemoteBackend
from tts.backends.remote.facts import Known
from tts.backends.remote.opening import Terms, connect
from tts.backends.remote.sglang import Address, SGLang
from tts.backends.remote.vllm import VLLM
from tts.testing.servers import Server, SGLangServer, VLLMServer
from tts_nano import open_nano
from tts_nano.backend import SHIPPED

KINDS = {
    "sglang": (SGLangServer, lambda line: SGLang(Address(line))),
    "vllm": (VLLMServer, VLLM),
}


@pytest.fixture
async def nano() -> AsyncIterator[Backend]:
    backend = open_nano()
    yield backend
    await backend.aclose()


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def server(kind: str, nano: Backend) -> AsyncIterator[Server]:
    made = KINDS[kind][0](nano, str(SHIPPED / "policy"))
    async with made.running():
        yield made


@pytest.fixture
def terms() -> Terms:
    return Terms(at_once=64, seconds=20.0, patience=0.3, api_key_env=None)


@pytest.fixture
async def remote(kind: str, server: Server, terms: Terms) -> AsyncIterator[RemoteBackend]:
    backend = await connect(server.url, terms, Known(), KINDS[kind][1])
    server.asked.clear()
    yield backend
    await backend.aclose()
