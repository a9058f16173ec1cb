"""Tiny checkpoints with random weights, in Hugging Face's format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

TINY: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_act": "silu",
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "bos_token_id": None,
    "eos_token_id": 1,
}

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def byte_tokenizer() -> Tokenizer:
    """Three special tokens, the 256 bytes, then a few tokens of several bytes."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    longer = ["Ċ" * 2, "ab", "abc", "bc", ".Ċ", "Ċ" * 2 + "x", "end"]
    specials = ["<|endoftext|>", "<|im_end|>", "<|im_start|>"]
    tokens = [*specials, *alphabet, *longer]
    merges = [("Ċ", "Ċ"), ("a", "b"), ("ab", "c"), ("b", "c"), (".", "Ċ"), ("ĊĊ", "x")]
    merges += [("n", "d"), ("e", "nd")]
    vocabulary = {token: id for id, token in enumerate([*tokens, "nd"])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(each, special=True) for each in specials])
    return tokenizer


def random_checkpoint(
    path: Path, config: Mapping[str, Any] | None = None, seed: int = 0, *, gain: float = 1.0
) -> Path:
    """A model folder at `path`; `config` changes what `TINY` says, `gain` sharpens its logits."""
    settings = {**TINY, **(config or {})}
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(settings))
    byte_tokenizer().save(str(path / "tokenizer.json"))
    (path / "tokenizer_config.json").write_text(json.dumps({"chat_template": CHATML}))
    save_file(random_weights(settings, seed, gain), path / "model.safetensors")
    return path


def random_weights(
    config: Mapping[str, Any], seed: int, gain: float = 1.0
) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """Tensors under the names of Hugging Face."""
    draw = np.random.default_rng(seed)
    hidden, wide = config["hidden_size"], config["intermediate_size"]
    head = config.get("head_dim", hidden // config["num_attention_heads"])
    queries = config["num_attention_heads"] * head
    keys = config["num_key_value_heads"] * head
    qwen = config["architectures"][0] == "Qwen2ForCausalLM"
    biased = config.get("attention_bias", qwen)

    def matrix(rows: int, columns: int, scale: float = 1.0) -> Any:
        weights = draw.standard_normal((rows, columns)) * scale / columns**0.5
        return weights.astype(np.float32)

    def vector(size: int, middle: float, spread: float) -> Any:
        return (middle + spread * draw.standard_normal(size)).astype(np.float32)

    weights = {
        "model.embed_tokens.weight": matrix(config["vocab_size"], hidden, gain * 3),
        "model.norm.weight": vector(hidden, 1.0, 0.1),
    }
    if not config["tie_word_embeddings"]:
        weights["lm_head.weight"] = matrix(config["vocab_size"], hidden, gain * 3)
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        for name, rows, columns in (
            ("self_attn.q_proj", queries, hidden),
            ("self_attn.k_proj", keys, hidden),
            ("self_attn.v_proj", keys, hidden),
            ("self_attn.o_proj", hidden, queries),
            ("mlp.gate_proj", wide, hidden),
            ("mlp.up_proj", wide, hidden),
            ("mlp.down_proj", hidden, wide),
        ):
            weights[f"{layer}{name}.weight"] = matrix(rows, columns, 1.5)
        for name in ("q", "k", "v"):
            if biased:
                size = queries if name == "q" else keys
                weights[f"{layer}self_attn.{name}_proj.bias"] = vector(size, 0.0, 0.3)
        if biased and not qwen:
            weights[f"{layer}self_attn.o_proj.bias"] = vector(hidden, 0.0, 0.3)
        for name in ("input_layernorm", "post_attention_layernorm"):
            weights[f"{layer}{name}.weight"] = vector(hidden, 1.0, 0.1)
    return weights


class MakeCheckpoint(Protocol):
    def __call__(
        self, config: Mapping[str, Any] | None = None, seed: int = 0, *, gain: float = 1.0
    ) -> Path: ...


@pytest.fixture
def make_checkpoint(tmp_path: Path) -> MakeCheckpoint:
    made = 0

    def make(config: Mapping[str, Any] | None = None, seed: int = 0, *, gain: float = 1.0) -> Path:
        nonlocal made
        made += 1
        return random_checkpoint(tmp_path / f"model-{made}", config, seed, gain=gain)

    return make


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the model that most tests run; not to be changed."""
    return random_checkpoint(tmp_path_factory.mktemp("tiny"))
