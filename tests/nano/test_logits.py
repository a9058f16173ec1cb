"""The forward pass computes what transformers computes."""

from typing import Any

import numpy as np
import pytest

from tts_nano import blocks
from tts_nano.attention import Chunk, ChunkAttention, Scratch
from tts_nano.model import Model

LLAMA_3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
CONFIGS: dict[str, dict[str, Any]] = {
    "qwen2": {},
    "qwen2 untied": {"tie_word_embeddings": False, "rope_theta": 1e6},
    "llama": {**LLAMA, "rms_norm_eps": 1e-5},
    "llama with biases": {**LLAMA, "attention_bias": True},
    "llama 3": {**LLAMA, "rope_scaling": LLAMA_3, "head_dim": 32, "tie_word_embeddings": False},
    "no shared heads": {"num_key_value_heads": 4},
    "odd sizes": {"vocab_size": 311, "intermediate_size": 177},
}


def logits_of(model: Model, ids: Any) -> Any:
    held = np.zeros((-(-len(ids) // blocks.BLOCK), *blocks.shape(model.architecture)), np.float32)
    attention = ChunkAttention([Chunk(held, 0, len(ids))], Scratch())
    return model.logits(model.forward(ids, np.arange(len(ids)), attention)).copy()


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_agree_with_transformers(name: str, make_checkpoint: Any) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = make_checkpoint(CONFIGS[name])
    reference = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model = Model.load(folder)
    ids = np.random.default_rng(1).integers(0, 300, 150)
    with torch.no_grad():
        expected = reference(torch.tensor(ids)[None]).logits[0].numpy()
    assert np.abs(logits_of(model, ids) - expected).max() < 2e-4
    assert model.parameters == sum(each.numel() for each in reference.parameters())


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_agree_with_the_formulas(name: str, make_checkpoint: Any) -> None:
    folder = make_checkpoint(CONFIGS[name])
    model = Model.load(folder)
    ids = np.random.default_rng(1).integers(0, 300, 70)
    assert np.abs(logits_of(model, ids) - by_the_book(folder, ids)).max() < 2e-4


def by_the_book(folder: Any, ids: Any) -> Any:
    """The architecture, in float64, as its papers write it."""
    import json

    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text())
    w = {k: v.astype(np.float64) for k, v in load_file(folder / "model.safetensors").items()}
    heads, kv = config["num_attention_heads"], config["num_key_value_heads"]
    head = config.get("head_dim", config["hidden_size"] // heads)
    length = len(ids)
    rates = config["rope_theta"] ** -(np.arange(0, head, 2) / head)
    if scaling := config.get("rope_scaling"):
        waves = 2 * np.pi / rates
        old = scaling["original_max_position_embeddings"]
        smooth = (old / waves - 1.0) / (4.0 - 1.0)
        blended = (1 - smooth) * rates / 8.0 + smooth * rates
        rates = np.where(waves > old, rates / 8.0, np.where(waves < old / 4.0, rates, blended))
    angles = np.outer(np.arange(length), np.concatenate((rates, rates)))

    def norm(x: Any, name: str) -> Any:
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + config["rms_norm_eps"]) * w[name]

    def linear(x: Any, name: str) -> Any:
        return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0.0)

    def turn(x: Any) -> Any:
        first, second = np.split(x, 2, axis=-1)
        return (
            x * np.cos(angles)[:, None]
            + np.concatenate((-second, first), -1) * np.sin(angles)[:, None]
        )

    x = w["model.embed_tokens.weight"][ids]
    future = np.triu(np.full((length, length), -np.inf), 1)
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        y = norm(x, f"{layer}input_layernorm.weight")
        q = turn(linear(y, f"{layer}self_attn.q_proj").reshape(length, heads, head))
        k = turn(linear(y, f"{layer}self_attn.k_proj").reshape(length, kv, head))
        v = linear(y, f"{layer}self_attn.v_proj").reshape(length, kv, head)
        k, v = (each.repeat(heads // kv, axis=1) for each in (k, v))
        scores = np.einsum("ihd,jhd->hij", q, k) / head**0.5 + future
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        mixed = np.einsum("hij,jhd->ihd", scores, v).reshape(length, -1)
        x = x + linear(mixed, f"{layer}self_attn.o_proj")
        y = norm(x, f"{layer}post_attention_layernorm.weight")
        gate = linear(y, f"{layer}mlp.gate_proj")
        up = linear(y, f"{layer}mlp.up_proj")
        x = x + linear(gate / (1 + np.exp(-gate)) * up, f"{layer}mlp.down_proj")
    output = w.get("lm_head.weight", w["model.embed_tokens.weight"])
    return norm(x, "model.norm.weight") @ output.T
