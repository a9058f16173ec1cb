"""Heads are read where they were trained to be, from servers of the known shapes and from torch."""

import json
import math
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import tokenizers
from aiohttp import web

from tts.backends.tokenizer import FolderTokenizer
from tts.budget.meter import Meter
from tts.config import make
from tts.errors import BadReply, ConfigError, Overlong, Unavailable
from tts.testing import VerifierContract
from tts.types import Cost, Finish, Step
from tts.verifier import Case, Verifier
from tts_verifiers.prm import HeadPRM, OutcomeRM
from tts_verifiers.prm.heads import HeadInput, p_right, qwen, qwen_outcome, skywork
from tts_verifiers.prm.opening import QWEN_PRM_7B, QWEN_RM, SKYWORK, open_head

pytestmark = pytest.mark.anyio
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<extra_0>")
STEPS = ("First, 2 * 3 = 6.\n\n", "Then\n6 + 1 = 7.\n\n", "The answer is \\boxed{7}.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A tokenizer of bytes, with Qwen's special tokens."""
    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    model = tokenizers.models.BPE({letter: id for id, letter in enumerate(letters)}, [])
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    path = tmp_path_factory.mktemp("checkpoint")
    tokenizer.save(str(path / "tokenizer.json"))
    return path


class Server:
    """Answers from a function of the body; remembers what it was asked."""

    def __init__(self, answer) -> None:
        self.answer = answer
        self.asked: list[tuple[str, dict]] = []

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.asked.append((request.path, body))
        reply = self.answer(body)
        status, content = reply if isinstance(reply, tuple) else (200, reply)
        text = content if isinstance(content, str) else json.dumps(content)
        return web.Response(status=status, text=text, content_type="application/json")


@asynccontextmanager
async def serving(answer):
    server = Server(answer)
    app = web.Application()
    app.router.add_post("/{path:.*}", server.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


def pooled(rows: list) -> dict:
    """As vLLM answers /pooling."""
    entry = {"index": 0, "object": "pooling", "data": rows}
    usage = {"prompt_tokens": 9, "total_tokens": 9, "completion_tokens": 0}
    return {"id": "pool-1", "object": "list", "created": 1, "model": "m", "data": [entry]} | {
        "usage": usage
    }


def classified(value: float) -> dict:
    """As SGLang answers /classify for one text."""
    return {"embedding": [value], "meta_info": {"id": "1", "prompt_tokens": 9}}


def whole(kit, *texts: str) -> Case:
    case = kit.case(*texts)
    steps = (*case.steps[:-1], Step(texts[-1], finish=Finish.EOS))
    return Case(case.problem, steps, (), case.seeds)


async def test_vllm_gives_a_row_for_each_step_tag(kit, folder) -> None:
    async with serving(lambda body: pooled([[0.1, 0.9], [0.2, 0.8], [0.75, 0.25]])) as server:
        engine = open_head(f"vllm:{server.url}/", QWEN_PRM_7B, str(folder), "prm")
        verifier, meter = HeadPRM(engine, qwen), Meter()
        verdicts = await verifier.judge(kit.case(*STEPS), meter)
        await verifier.aclose()
        await verifier.aclose()
    assert [verdict.score for verdict in verdicts] == [0.9, 0.8, 0.25]
    ((path, body),) = server.asked
    assert path == "/pooling"
    assert body["model"] == "prm"
    expected = qwen(FolderTokenizer(folder), "What is 2 * 3 + 1?", [s.strip() for s in STEPS])
    assert body["input"] == list(expected.ids)
    tag = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).token_to_id("<extra_0>")
    assert [body["input"][position] for position in expected.positions] == [tag] * 3
    assert (
        meter.cost
        == verifier.bound(kit.case(*STEPS), 0)
        == Cost(len(body["input"]), samples=1, calls=1)
    )


async def test_vllm_without_a_step_tag_gives_a_row_for_each_token(kit, folder) -> None:
    def answer(body: dict) -> dict:
        return pooled([[1 - id / 1000, id / 1000] for id in body["input"]])

    async with serving(answer) as server:
        engine = open_head(f"vllm:{server.url}", QWEN_PRM_7B, str(folder))
        verdicts = await HeadPRM(engine, qwen).judge(kit.case(*STEPS), Meter())
        await engine.aclose()
    assert "model" not in server.asked[0][1]
    tag = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).token_to_id("<extra_0>")
    assert [verdict.score for verdict in verdicts] == pytest.approx([tag / 1000] * 3)


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
async def test_an_outcome_is_scored_at_its_end_only(kit, folder, kind: str) -> None:
    shape = {
        "vllm": lambda body: pooled([[0.0]] * (len(body["input"]) - 1) + [[2.0]]),
        "sglang": lambda body: classified(2.0),
    }[kind]
    async with serving(shape) as server:
        engine = open_head(f"{kind}:{server.url}", QWEN_RM, str(folder))
        verifier, meter = OutcomeRM(engine, qwen_outcome), Meter()
        case = whole(kit, *STEPS)
        verdicts = await verifier.judge(case, meter)
        assert await verifier.judge(kit.case(*STEPS), Meter()) == [None] * 3
        assert verifier.bound(kit.case(*STEPS), 0) == Cost()
        assert meter.cost == verifier.bound(case, 0)
        await verifier.aclose()
    assert verdicts[:2] == [None, None]
    assert verdicts[2].score == pytest.approx(1 / (1 + math.exp(-2.0)))
    ((path, body),) = server.asked
    assert path == {"vllm": "/pooling", "sglang": "/classify"}[kind]
    ids = body["input" if kind == "vllm" else "input_ids"]
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert tokenizer.decode(ids, skip_special_tokens=False) == (
        "<|im_start|>system\nPlease reason step by step, and put your final answer within "
        "\\boxed{}.<|im_end|>\n<|im_start|>user\nWhat is 2 * 3 + 1?<|im_end|>\n"
        "<|im_start|>assistant\n" + "".join(STEPS) + "<|im_end|>\n"
    )


async def test_a_solution_that_is_too_long_is_not_scored(kit, folder) -> None:
    async with serving(lambda body: classified(2.0)) as server:
        engine = open_head(f"sglang:{server.url}", QWEN_RM, str(folder))
        verifier = OutcomeRM(engine, qwen_outcome, solution_tokens=10)
        (verdict,) = await verifier.judge(whole(kit, "7" * 11), Meter())
        assert (verdict.score, "longer than 10" in verdict.reason) == (None, True)
        (verdict,) = await verifier.judge(whole(kit, "7" * 10), meter := Meter())
        assert verdict.score is not None
        assert meter.cost.prompt_tokens <= verifier.bound(kit.case(), 5).prompt_tokens
        await verifier.aclose()
    assert len(server.asked) == 1


async def test_sglang_scores_no_steps(kit, folder) -> None:
    engine = open_head("sglang:http://127.0.0.1:1", QWEN_RM, str(folder))
    with pytest.raises(ConfigError, match="no scores of its steps"):
        await HeadPRM(engine, qwen).judge(kit.case(*STEPS), Meter())
    await engine.aclose()


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        ((400, {"error": {"message": "the maximum context length is 9"}}), Overlong, "400"),
        ((400, {"error": {"message": "unknown field"}}), BadReply, "unknown field"),
        ((404, {"detail": "Not Found"}), BadReply, "Not Found"),
        ((503, "The request queue is full."), Unavailable, "queue is full"),
        ("not json", BadReply, "not JSON"),
        ({"data": []}, BadReply, "something else than scores"),
        ([1], BadReply, "something else than scores"),
        (pooled([[0.5, 0.5]]), BadReply, "1 rows for 3 steps"),
        (pooled([[3.0, -4.0]] * 3), BadReply, "not the probabilities"),
        (pooled([[float("nan")]] * 3), BadReply, "nan"),
    ],
)
async def test_a_failing_server_is_an_error_that_says_so(kit, folder, reply, error, words) -> None:
    async with serving(lambda body: reply) as server:
        # A busy server is asked again as long as there is time.
        engine = open_head(f"vllm:{server.url}", QWEN_PRM_7B, str(folder), seconds=2.0)
        meter = Meter()
        with pytest.raises(error, match=words):
            await HeadPRM(engine, qwen).judge(kit.case(*STEPS), meter)
        assert meter.cost.calls == 1  # it may have been computed
        await engine.aclose()


async def test_a_busy_server_is_asked_again(kit, folder) -> None:
    replies = iter([(503, "The request queue is full."), pooled([[0.25, 0.75]] * 3)])
    async with serving(lambda body: next(replies)) as server:
        engine = open_head(f"vllm:{server.url}", QWEN_PRM_7B, str(folder))
        meter = Meter()
        verdicts = await HeadPRM(engine, qwen).judge(kit.case(*STEPS), meter)
        await engine.aclose()
    assert [verdict.score for verdict in verdicts] == [0.75] * 3
    assert (len(server.asked), meter.cost.calls) == (2, 1)  # the first was not begun


async def test_an_absent_server_is_unavailable(kit, folder) -> None:
    engine = open_head("vllm:http://127.0.0.1:1", QWEN_PRM_7B, str(folder))
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        await HeadPRM(engine, qwen).judge(kit.case(*STEPS), Meter())
    await engine.aclose()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("prm-qwen-7b", "step_tag_id"),
        ("prm-qwen-7b:backend=sglang:http://x", "backend=hf:FOLDER"),
        ("prm-qwen-7b:backend=vllm:http://x", "tokenizer=FOLDER"),
        ("prm-qwen-7b:backend=vllm:x,tokenizer=.", "tokenizer.json"),
        ("skywork:backend=vllm:http://x", "answers through a head"),
        ("orm:backend=fake", "--is-embedding"),
        ("orm:backend=sglang:http://x,parameters=0", "parameters=0 must be at least 1"),
    ],
)
def test_a_wrong_engine_is_refused_with_the_right_ones(spec: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make("verifiers", spec)
    assert words in str(caught.value)


def test_an_address_is_checked(folder) -> None:
    with pytest.raises(ConfigError, match="no address"):
        make("verifiers", f"orm:backend=sglang:host,tokenizer={folder}")


def test_a_head_gives_two_probabilities_or_one_logit() -> None:
    assert p_right([0.25, 0.75]) == 0.75
    assert p_right([0.0]) == 0.5
    assert p_right([-1000.0]) == 0.0
    assert p_right([0.001, 1.004]) == 1.0
    for outputs in ([], [0.2, 0.2], [1.0, 2.0, 3.0], [math.nan, 1.0], [math.inf]):
        with pytest.raises(BadReply):
            p_right(outputs)


class TestOutcomeRM(VerifierContract):
    @pytest.fixture
    def verifier(self, kit) -> Verifier:
        return OutcomeRM(Ends(kit), qwen_outcome)


class Ends:
    """Scores any end."""

    def __init__(self, kit) -> None:
        backend = kit.Backend()
        self.model, self.tokenizer = backend.model, backend.tokenizer

    async def scores(self, input: HeadInput, meter: Meter) -> list[float]:
        with meter.call(Cost(len(input.ids), samples=1, calls=1)):
            return [0.5]

    async def aclose(self) -> None:
        """Nothing to release."""


def tiny(folder: Path, layers: dict[str, tuple[int, int]]):
    """A random Qwen2 checkpoint with a head in `folder`; the model, and the head's tensors."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from safetensors.torch import load_file, save_file

    torch.manual_seed(3)
    config = transformers.Qwen2Config(
        vocab_size=300, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=2048,
    )  # fmt: skip
    whole_model = transformers.Qwen2ForCausalLM(config).eval()
    whole_model.save_pretrained(folder)
    head = {}
    for name, (rows, columns) in layers.items():
        head[f"{name}.weight"] = torch.randn(rows, columns) / 4
        head[f"{name}.bias"] = torch.randn(rows)
    path = folder / "model.safetensors"
    save_file({**load_file(path), **head}, path, metadata={"format": "pt"})
    return torch, whole_model.model, head


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("checkpoint", "layout", "layers"),
    [
        (QWEN_PRM_7B, qwen, {"score.0": (16, 16), "score.2": (2, 16)}),
        (SKYWORK, skywork, {"v_head.summary": (1, 16)}),
        (QWEN_RM, qwen_outcome, {"score.0": (16, 16), "score.2": (1, 16)}),
    ],
    ids=["qwen", "skywork", "orm"],
)
async def test_torch_reads_the_head_at_the_steps(folder, checkpoint, layout, layers) -> None:
    torch, trunk, head = tiny(folder, layers)
    engine = open_head(f"hf:{folder}", checkpoint)
    steps = ["2 * 3 = 6", "6 + 1\n= 7"] if layout is not qwen_outcome else ["2 * 3 = 6"]
    input = layout(engine.tokenizer, "What is 2 * 3 + 1?", steps)
    meter = Meter()
    scores = await engine.scores(input, meter)
    with torch.inference_mode():
        outputs = trunk(input_ids=torch.tensor([input.ids])).last_hidden_state[0]
        for number, name in enumerate(layers):
            outputs = outputs if number == 0 else outputs.clamp(min=0)
            outputs = outputs @ head[f"{name}.weight"].T + head[f"{name}.bias"]
        both = outputs.shape[1] == 2
        expected = outputs.softmax(1)[:, 1] if both else outputs[:, 0].sigmoid()
    assert scores == pytest.approx([float(expected[p]) for p in input.positions], abs=1e-5)
    assert len(set(scores)) == len(scores)
    assert meter.cost == Cost(len(input.ids), samples=1, calls=1)
    assert engine.model.context_tokens == 2048
    assert engine.model.parameters == sum(p.numel() for p in trunk.parameters())
    await engine.aclose()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_checkpoint_without_the_head_is_refused(folder) -> None:
    tiny(folder, {})
    with pytest.raises(ConfigError, match=r"v_head\.summary\.weight"):
        open_head(f"hf:{folder}", SKYWORK)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_checkpoint_without_all_of_its_trunk_is_refused(folder) -> None:
    tiny(folder, {"v_head.summary": (1, 16)})
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    tensors = load_file(path)
    del tensors["model.norm.weight"]
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ConfigError, match=r"norm\.weight"):
        open_head(f"hf:{folder}", SKYWORK)
