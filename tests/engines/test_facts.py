"""What real servers say of the model that they serve."""

from typing import Any

import pytest

from tts.registry import open_backend

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300), pytest.mark.anyio]


@pytest.mark.parametrize("named", [True, False])
async def test_a_server_describes_its_model(server: Any, *, named: bool) -> None:
    backend = open_backend(server.spec if named else server.url)
    model = backend.model
    await backend.aclose()
    assert model.name == "policy"
    assert model.parameters == 2_251_712
    assert 2040 <= model.context_tokens <= 2048
    assert model.cache_tokens is not None
    assert model.cache_tokens > 10_000
    assert model.dialect.user == "{problem}"
