"""A compact Qwen2 for training: fused projections, document masks, Hugging Face names on export."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

MASKED = -1e4
NORM_EPSILON = 1e-6
ROPE_THETA = 10000.0
POSITIONS = 2048


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a model."""

    vocabulary: int
    hidden: int = 192
    layers: int = 4
    feed_forward: int = 768
    heads: int = 6
    key_value_heads: int = 2

    @property
    def head(self) -> int:
        """Numbers per head."""
        return self.hidden // self.heads


class Qwen2(nn.Module):
    """The Qwen2 computation with tied embeddings and packed rows."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width, layers = shape.hidden, range(shape.layers)
        projected = (shape.heads + 2 * shape.key_value_heads) * shape.head

        def matrix(rows: int, columns: int, gain: float = 1.0) -> nn.Parameter:
            return nn.Parameter(torch.randn(rows, columns) * gain * columns**-0.5)

        def ones() -> nn.Parameter:
            return nn.Parameter(torch.ones(width))

        residual = (2 * shape.layers) ** -0.5
        self.embedding = nn.Parameter(torch.randn(shape.vocabulary, width) * 0.02)
        self.final_norm = ones()
        self.attention_norm = nn.ParameterList([ones() for _ in layers])
        self.mlp_norm = nn.ParameterList([ones() for _ in layers])
        self.qkv = nn.ParameterList([matrix(projected, width) for _ in layers])
        self.qkv_bias = nn.ParameterList([nn.Parameter(torch.zeros(projected)) for _ in layers])
        self.out = nn.ParameterList([matrix(width, width, residual) for _ in layers])
        self.gate_up = nn.ParameterList([matrix(2 * shape.feed_forward, width) for _ in layers])
        self.down = nn.ParameterList([matrix(width, shape.feed_forward, residual) for _ in layers])
        inverse = ROPE_THETA ** -(torch.arange(0, shape.head, 2).float() / shape.head)
        angles = torch.outer(torch.arange(POSITIONS).float(), inverse).repeat(1, 2)
        self.cos: Tensor
        self.sin: Tensor
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, tokens: Tensor, documents: Tensor) -> Tensor:
        """Final hidden states, rows x length x hidden.

        Both arguments are rows x length; a token sees the earlier tokens of its own document.
        Positions count from the row's start, which rotary attention does not mind.
        """
        shape = self.shape
        rows, length = tokens.shape
        kv, group, head = shape.key_value_heads, shape.heads // shape.key_value_heads, shape.head
        order = torch.arange(length, device=tokens.device)
        visible = (documents[:, :, None] == documents[:, None, :]) & (order[:, None] >= order)
        mask = torch.where(visible, 0.0, MASKED).to(torch.bfloat16)[:, None, None]
        cos, sin = self.cos[:length].bfloat16(), self.sin[:length].bfloat16()
        x = functional.embedding(tokens, self.embedding)
        for i in range(shape.layers):
            normed = functional.rms_norm(x, (shape.hidden,), self.attention_norm[i], NORM_EPSILON)
            z = functional.linear(normed, self.qkv[i], self.qkv_bias[i])
            z = z.view(rows, length, shape.heads + 2 * kv, head).transpose(1, 2)
            qk, v = z[:, : shape.heads + kv], z[:, shape.heads + kv :]
            a, b = qk.chunk(2, -1)
            qk = qk * cos + torch.cat([-b, a], -1) * sin
            q, k = qk[:, : shape.heads], qk[:, shape.heads :]
            q = q.reshape(rows, kv, group * length, head)
            scores = torch.matmul(q, k.transpose(2, 3)) * head**-0.5
            scores = scores.view(rows, kv, group, length, length) + mask
            weights = scores.softmax(-1).to(v.dtype).view(rows, kv, group * length, length)
            mixed = torch.matmul(weights, v).view(rows, shape.heads, length, head)
            x = x + functional.linear(mixed.transpose(1, 2).reshape(rows, length, -1), self.out[i])
            normed = functional.rms_norm(x, (shape.hidden,), self.mlp_norm[i], NORM_EPSILON)
            gate, up = functional.linear(normed, self.gate_up[i]).chunk(2, -1)
            x = x + functional.linear(functional.silu(gate) * up, self.down[i])
        return functional.rms_norm(x, (shape.hidden,), self.final_norm, NORM_EPSILON)

    def matrices(self) -> list[nn.Parameter]:
        """The hidden matrices, which the Muon optimizer trains."""
        return [*self.qkv, *self.out, *self.gate_up, *self.down]

    def others(self) -> list[nn.Parameter]:
        """Embedding, norms and biases."""
        hidden = {id(each) for each in self.matrices()}
        return [each for each in self.parameters() if id(each) not in hidden]


def _names(model: Qwen2) -> dict[str, Tensor]:
    """Views of the parameters under the names of `Qwen2ForCausalLM`."""
    shape = model.shape
    named: dict[str, Tensor] = {
        "model.embed_tokens.weight": model.embedding,
        "model.norm.weight": model.final_norm,
    }
    sizes = [shape.heads * shape.head, *[shape.key_value_heads * shape.head] * 2]
    for i in range(shape.layers):
        layer = f"model.layers.{i}."
        parts = zip("qkv", model.qkv[i].split(sizes), model.qkv_bias[i].split(sizes), strict=True)
        for letter, weight, bias in parts:
            named[f"{layer}self_attn.{letter}_proj.weight"] = weight
            named[f"{layer}self_attn.{letter}_proj.bias"] = bias
        gate, up = model.gate_up[i].chunk(2)
        named[f"{layer}self_attn.o_proj.weight"] = model.out[i]
        named[f"{layer}mlp.gate_proj.weight"] = gate
        named[f"{layer}mlp.up_proj.weight"] = up
        named[f"{layer}mlp.down_proj.weight"] = model.down[i]
        named[f"{layer}input_layernorm.weight"] = model.attention_norm[i]
        named[f"{layer}post_attention_layernorm.weight"] = model.mlp_norm[i]
    return named


def export(model: Qwen2, folder: Path, end_token: int, pad_token: int) -> None:
    """Write `config.json`, `generation_config.json` and `model.safetensors` (bfloat16)."""
    shape = model.shape
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_value_heads,
        "hidden_act": "silu",
        "max_position_embeddings": POSITIONS,
        "rms_norm_eps": NORM_EPSILON,
        "rope_theta": ROPE_THETA,
        "tie_word_embeddings": True,
        "use_sliding_window": False,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "bos_token_id": None,
        "eos_token_id": end_token,
        "pad_token_id": pad_token,
        "torch_dtype": "bfloat16",
    }
    generation = {
        "do_sample": True,
        "temperature": 1.0,
        "top_p": 1.0,
        "top_k": 0,
        "max_new_tokens": 640,
        "eos_token_id": end_token,
        "pad_token_id": pad_token,
    }
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "config.json", config)
    _write(folder / "generation_config.json", generation)
    weights = {
        name: tensor.detach().to(torch.bfloat16).clone().contiguous()
        for name, tensor in _names(model).items()
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def load(folder: Path) -> Qwen2:
    """A model from a folder that `export` wrote."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    model = Qwen2(
        Shape(
            config["vocab_size"],
            config["hidden_size"],
            config["num_hidden_layers"],
            config["intermediate_size"],
            config["num_attention_heads"],
            config["num_key_value_heads"],
        )
    )
    weights = load_file(folder / "model.safetensors")
    with torch.no_grad():
        for name, view in _names(model).items():
            view.copy_(weights[name])
    return model


def _write(path: Path, settings: dict[str, Any]) -> None:
    path.write_text(json.dumps(settings, indent=2) + "\n")
