"""Models of transformers in this process: the contract, one computation for what is shared, and
the attention of several families. Needs torch; `make test-engines` has it.
"""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from tts.backends.base import Backend, Ending, Generation, Request, Sampling
from tts.budget.budget import Budget
from tts.budget.meter import Meter
from tts.errors import ConfigError
from tts.registry import open_backend
from tts.testing import BackendContract
from tts_nano import open_nano
from tts_nano.backend import SHIPPED

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

POLICY = SHIPPED / "policy"
LONG = " ".join(f"Evaluate {n} + 3 * {n % 9}." for n in range(40))


def engine_of(backend: Any) -> Any:
    return backend._worker._engine


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    opened = open_backend(f"transformers:{POLICY},device=cpu,cache_mb=16,at_once=16")
    yield opened
    await opened.aclose()
    engine_of(opened).check_idle()


def prompt_of(backend: Backend, text: str) -> tuple[int, ...]:
    return backend.tokenizer.chat([{"role": "user", "content": text}])


async def ask(backend: Backend, *requests: Request) -> list[Generation]:
    """Replies to requests that come at the same time."""
    found: dict[int, Generation] = {}

    async def one(index: int) -> None:
        found[index] = await backend.generate(requests[index], Meter())

    async with anyio.create_task_group() as group:
        for index in range(len(requests)):
            group.start_soon(one, index)
    return [found[index] for index in range(len(requests))]


class TestContract(BackendContract):
    @pytest.fixture
    async def backend(self) -> AsyncIterator[Backend]:
        opened = open_backend(f"transformers:{POLICY},device=cpu,cache_mb=16")
        yield opened
        await opened.aclose()


@pytest.mark.parametrize("sampling", [Sampling(0.0), Sampling(), Sampling(1.4, 0.9, 12)])
@pytest.mark.parametrize("text", ["Evaluate 12 + 30 * 2.", LONG])
async def test_a_seed_draws_the_sample_that_the_embedded_engine_draws(
    backend: Backend, text: str, sampling: Sampling
) -> None:
    nano = open_nano()
    request = Request(prompt_of(backend, text), 60, tuple(range(12)), sampling, logprob_ids=(5, 9))
    (ours,), (theirs,) = await ask(backend, request), await ask(nano, request)
    await nano.aclose()
    assert [s.token_ids for s in ours.samples] == [s.token_ids for s in theirs.samples]
    assert [s.ending for s in ours.samples] == [s.ending for s in theirs.samples]
    for a, b in zip(ours.samples, theirs.samples, strict=True):
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-3)
        assert a.first_logprobs == pytest.approx(b.first_logprobs, abs=1e-3)


async def test_a_burst_of_siblings_computes_its_prompt_once(backend: Backend) -> None:
    prompt = prompt_of(backend, LONG)
    replies = await ask(backend, *(Request(prompt, 4, (seed,)) for seed in range(8)))
    computed = [reply.cost.prompt_tokens - reply.cost.cached_tokens for reply in replies]
    assert sorted(computed) == [0] * 7 + [len(prompt)]


async def test_a_next_step_computes_one_token_of_its_prompt(backend: Backend) -> None:
    prompt = prompt_of(backend, LONG)
    (first,) = await ask(backend, Request(prompt, 30, (1,)))
    longer = prompt + first.samples[0].token_ids
    (second,) = await ask(backend, Request(longer, 5, (2,)))
    assert second.cost.prompt_tokens - second.cost.cached_tokens == 1
    (third,) = await ask(backend, Request(prompt + prompt[1:9], 1))
    assert third.cost.prompt_tokens - third.cost.cached_tokens == 8


async def test_a_step_in_pieces_is_the_step_in_one(backend: Backend) -> None:
    prompt = prompt_of(backend, LONG)
    greedy = Sampling(0.0)
    (whole,) = await ask(backend, Request(prompt, 24, sampling=greedy))
    so_far = prompt
    for _ in range(6):
        (piece,) = await ask(backend, Request(so_far, 4, sampling=greedy))
        so_far += piece.samples[0].token_ids
        if piece.samples[0].ending is not Ending.LENGTH:
            break
    assert so_far == prompt + whole.samples[0].token_ids


async def test_more_samples_than_rows_and_a_cache_that_overflows_change_nothing(
    backend: Backend,
) -> None:
    small = open_backend(f"transformers:{POLICY},device=cpu,cache_mb=1,at_once=3")
    requests = [
        Request(prompt_of(backend, f"{LONG[: 40 * n]} Evaluate {n} + 3."), 40, (n, n + 1, n + 2))
        for n in range(12)
    ]
    try:
        ours, theirs = await ask(backend, *requests), await ask(small, *requests)
        for a, b in zip(ours, theirs, strict=True):
            assert [s.token_ids for s in a.samples] == [s.token_ids for s in b.samples]
        assert engine_of(small).cache.tree.evictions > 0
        await ask(small, *requests[::-1])
    finally:
        await small.aclose()
    engine_of(small).check_idle()


async def test_rows_of_cancelled_requests_are_free_at_once(backend: Backend) -> None:
    meter = Meter()
    hot = Request(prompt_of(backend, "Count."), 1500, tuple(range(40)), Sampling(3.0))
    with anyio.move_on_after(0.3):
        await backend.generate(hot, meter)
    assert not engine_of(backend)._rows
    assert 0 < meter.cost.output_tokens < hot.bound.output_tokens
    engine_of(backend).check_idle()


async def test_deeper_work_is_served_first() -> None:
    backend = open_backend(f"transformers:{POLICY},device=cpu,at_once=1")
    order: list[int] = []

    async def one(priority: int) -> None:
        prompt = prompt_of(backend, f"Evaluate {priority} + 3.")
        await backend.generate(Request(prompt, 20, priority=priority), Meter())
        order.append(priority)

    async with anyio.create_task_group() as group:
        group.start_soon(one, 9)
        await anyio.sleep(0.05)
        for priority in (1, 3, 2):
            group.start_soon(one, priority)
    await backend.aclose()
    assert order == [9, 3, 2, 1]


async def test_a_search_goes_through_it() -> None:
    from tts.engine import Engine

    async with Engine(f"transformers:{POLICY},device=cpu", "genprm-nano") as engine:
        result = await engine.solve(
            "Evaluate 12 + 30 * 2.", "beam:n=4,width=2", Budget(tokens=9000)
        )
    assert result.answer == "72"
    assert not result.errors


SMALL = {
    "vocab_size": 448,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "eos_token_id": 2,
    "bos_token_id": None,
    "pad_token_id": 0,
    "initializer_range": 0.4,
}
FAMILIES: dict[str, dict[str, object]] = {
    "Llama": {},
    "Mistral": {"sliding_window": 9},
    "Qwen3": {},
    "Gemma2": {"sliding_window": 9, "query_pre_attn_scalar": 16, "attn_logit_softcapping": 3.0},
    "GptOss": {"sliding_window": 9, "num_local_experts": 4, "num_experts_per_tok": 2},
    "Phi3": {},
    "GPT2": {"n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 512},
}


def random_model(folder: Path, family: str) -> Any:
    """A folder of a small random model of a family, with our tokenizer; and the model."""
    given = {"vocab_size": 448, "eos_token_id": 2} if family == "GPT2" else SMALL
    config = getattr(transformers, f"{family}Config")(**given, **FAMILIES[family])
    torch.manual_seed(1)
    name = "GPT2LMHeadModel" if family == "GPT2" else f"{family}ForCausalLM"
    model = getattr(transformers, name)._from_config(config, attn_implementation="eager").eval()
    model.save_pretrained(folder)
    for path in POLICY.glob("tokenizer*.json"):
        shutil.copy(path, folder)
    return model


@pytest.mark.parametrize("family", FAMILIES)
async def test_tokens_are_those_of_the_model_itself(family: str, tmp_path: Path) -> None:
    model = random_model(tmp_path, family)
    backend = open_backend(f"transformers:{tmp_path},device=cpu,cache_mb=8")
    prompts = [prompt_of(backend, LONG[: 30 * n]) for n in (1, 3, 5)]
    requests = [
        Request(p, 20, seeds, Sampling(0.0)) for p in prompts for seeds in ((0,), (1, 2, 3))
    ]
    try:
        for _ in range(2):  # the second time from the cache
            for request, reply in zip(requests, await ask(backend, *requests), strict=True):
                with torch.inference_mode():
                    for sample in reply.samples:
                        ids = request.prompt + sample.token_ids
                        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
                        before = logits[len(request.prompt) - 1 : -1].float().log_softmax(-1)
                        likeliest = before.argmax(-1).tolist()
                        assert list(sample.token_ids) == likeliest
                        theirs = before.max(-1).values.tolist()
                        assert sample.logprobs == pytest.approx(theirs, abs=1e-3)
    finally:
        await backend.aclose()


def test_a_model_with_a_state_besides_keys_and_values_is_refused(tmp_path: Path) -> None:
    config = transformers.MambaConfig(vocab_size=448, hidden_size=32, num_hidden_layers=2)
    transformers.MambaForCausalLM(config).save_pretrained(tmp_path)
    for path in POLICY.glob("tokenizer*.json"):
        shutil.copy(path, tmp_path)
    with pytest.raises(ConfigError, match="attention"):
        open_backend(f"transformers:{tmp_path},device=cpu")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("transformers:", "say which model"),
        ("transformers:no/such-model-anywhere", "neither a folder here nor a model"),
        (f"transformers:{POLICY},device=abacus", "no such device here"),
        (f"transformers:{POLICY},dtype=int3", "dtype"),
        (f"transformers:{POLICY},at_once=0", "at least 1"),
        (f"transformers:{SHIPPED}", "transformers cannot load it"),
    ],
)
def test_what_cannot_be_opened_is_told(
    spec: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ConfigError, match=says):
        open_backend(spec)
