"""What is found out about a server before anything is asked of it, and what is refused then."""

import shutil
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from tts.backends.base import Request, Sampling
from tts.backends.remote.backend import RemoteBackend
from tts.backends.remote.facts import Known
from tts.backends.remote.opening import Terms, connect, open_sglang, open_vllm
from tts.budget.meter import Meter
from tts.budget.prices import Prices
from tts.engine import Engine
from tts.errors import ConfigError
from tts.registry import open_backend
from tts.testing.servers import Server
from tts_nano.backend import SHIPPED

from .conftest import KINDS

pytestmark = pytest.mark.anyio
OPENERS = {"sglang": open_sglang, "vllm": open_vllm}


async def opened(server: Server, kind: str, terms: Terms, **known: Any) -> RemoteBackend:
    return await connect(server.url, terms, Known(**known), KINDS[kind][1])


async def test_the_model_is_described_by_server_and_folder(remote: RemoteBackend) -> None:
    model = remote.model
    assert model.name == "policy"
    assert model.parameters == 2_251_712
    assert model.context_tokens in {2048, 2043}
    assert 15_000 < (model.cache_tokens or 0) <= 16_000
    assert model.eos_ids == (2,)
    assert model.dialect.user == "{problem}"


async def test_knobs_say_what_cannot_be_found(
    server: Server, kind: str, terms: Terms, tmp_path: Path
) -> None:
    server.folder = "/models/on/another/machine"
    with pytest.raises(ConfigError, match=r"neither at '/models/on/another/machine' nor in the"):
        await opened(server, kind, terms)
    for path in (SHIPPED / "policy").glob("*.json"):
        shutil.copy(path, tmp_path)
    with pytest.raises(ConfigError, match=r"holds no weights to count.*parameters=7.6e9"):
        await opened(server, kind, terms, tokenizer=str(tmp_path))
    backend = await opened(
        server, kind, terms, tokenizer=str(tmp_path), parameters=7.6e9, step_tokens=11
    )
    assert backend.model.parameters == 7_600_000_000
    assert backend.model.dialect.step_tokens == 11
    await backend.aclose()


async def test_another_tokenizer_is_found_out(
    server: Server, kind: str, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = server.engine.tokenizer
    decode = type(tokenizer).decode
    monkeypatch.setattr(server, "engine", _Shifted(server.engine, decode))
    with pytest.raises(ConfigError, match=r"in our tokens is .* to the server of 'policy'"):
        await opened(server, kind, terms)


class _Shifted:
    """An engine whose tokens mean something else."""

    def __init__(self, engine: Any, decode: Any) -> None:
        self.model, self.generate = engine.model, engine.generate
        self._own, self._decode = engine.tokenizer, decode

    @property
    def tokenizer(self) -> Any:
        return self

    def decode(self, ids: Any) -> str:
        return str(self._decode(self._own, [min(447, id + 1) for id in ids]))


@pytest.mark.parametrize("kind", ["sglang"])
async def test_tempered_logprobs_are_refused_unless_one_is_content(
    server: Server, terms: Terms
) -> None:
    server.raw = False
    backend = await opened(server, "sglang", terms)
    server.asked.clear()
    warm = Request((1, 2, 3), 2, sampling=Sampling(temperature=0.7))
    with pytest.raises(ConfigError, match="SGLANG_RETURN_ORIGINAL_LOGPROB=1"):
        await backend.generate(warm, Meter())
    assert not server.asked
    await backend.generate(Request((1, 2, 3), 2), Meter())
    await backend.aclose()
    content = await anyio.to_thread.run_sync(open_backend, f"sglang:{server.url},tempered=true")
    await content.generate(warm, Meter())
    await content.aclose()


@pytest.mark.parametrize("kind", ["vllm"])
async def test_processed_logprobs_are_refused(server: Server, terms: Terms) -> None:
    server.raw = False
    with pytest.raises(ConfigError, match="--logprobs-mode raw_logprobs"):
        await opened(server, "vllm", terms)


async def test_an_adapter_is_asked_for_by_its_name_and_has_its_models_context(
    server: Server, kind: str
) -> None:
    server.adapters = ("judge",)
    knob = {"sglang": "adapter", "vllm": "model"}[kind]
    spec = f"{kind}:{server.url},{knob}=judge,tokenizer={server.folder}"
    backend: Any = await anyio.to_thread.run_sync(open_backend, spec)
    assert backend.model.name == "judge"
    assert backend.model.context_tokens in {2048, 2043}
    await backend.generate(Request((1, 2, 3), 2), Meter())
    asked = server.asked[-1]
    assert asked[{"sglang": "lora_path", "vllm": "model"}[kind]] == "judge"
    await backend.aclose()


async def test_an_address_alone_finds_its_kind(server: Server, kind: str) -> None:
    backend: Any = await anyio.to_thread.run_sync(open_backend, server.url)
    assert type(backend._wire).__name__.lower() == kind
    await backend.aclose()


async def test_an_address_alone_takes_knobs_of_the_model_and_prices(
    server: Server, tmp_path: Path
) -> None:
    for path in (SHIPPED / "policy").glob("*.json"):
        shutil.copy(path, tmp_path)
    spec = f"{server.url},tokenizer={tmp_path},parameters=7e9,usd_in=0.2,usd_out=0.8"
    server.folder = "/models/on/another/machine"
    backend: Any = await anyio.to_thread.run_sync(open_backend, spec)
    assert (backend.model.parameters, backend.model.prices) == (7_000_000_000, Prices(0.2, 0.8))
    await backend.aclose()


async def test_the_wrong_kind_is_told(server: Server, kind: str) -> None:
    other = "vllm" if kind == "sglang" else "sglang"
    with pytest.raises(Exception, match=r"answered 404|not a"):
        await anyio.to_thread.run_sync(OPENERS[other], server.url)


async def test_a_search_goes_through_a_spec(server: Server, kind: str) -> None:
    engine = await anyio.to_thread.run_sync(Engine, f"{kind}:{server.url}", "genprm-nano")
    async with engine:
        result = await engine.solve("Evaluate 12 + 30 * 2.", "beam:n=4,width=2")
    assert result.answer == "72"
    assert not result.errors
