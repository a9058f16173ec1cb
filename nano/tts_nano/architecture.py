"""Architecture: the sizes and constants in a checkpoint's `config.json`, checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tts.backends.folder import read_json
from tts.errors import ConfigError

_BIASED_INPUTS = {"Qwen2ForCausalLM": True, "LlamaForCausalLM": False}
"""Architectures that this engine computes, and whether their q, k and v have biases by default."""


@dataclass(frozen=True, slots=True)
class Llama3Scaling:
    """Frequencies stretched for long contexts, as Llama 3.1 does it."""

    factor: float
    low_frequency_factor: float
    high_frequency_factor: float
    original_context: int


@dataclass(frozen=True, slots=True)
class Architecture:
    """A decoder of the Llama family."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head: int
    """Numbers per head; even."""
    feed_forward: int
    vocabulary: int
    """Rows of the embedding; at least as many as the tokenizer has tokens."""
    context: int
    """Longest prompt and output together, tokens."""
    epsilon: float
    theta: float
    """Base of the rotary frequencies."""
    scaling: Llama3Scaling | None
    input_bias: bool
    """Whether the q, k and v projections have biases."""
    output_bias: bool
    """Whether the projection after attention has one."""
    tied: bool
    """Whether the embedding is the output matrix too."""
    eos_ids: tuple[int, ...]

    @property
    def group(self) -> int:
        """Query heads that share a key-value head."""
        return self.heads // self.kv_heads


def read_architecture(folder: Path) -> Architecture:
    """What `config.json` and `generation_config.json` in `folder` say.

    Raises:
        ConfigError: a file is missing or broken, or describes a model of another kind; the
            message names the file, the reason, and where such a model can be run.
    """
    path = folder / "config.json"
    config = _Config(path, read_json(path))
    names = config.given.get("architectures")
    name = names[0] if isinstance(names, list) and names else None
    if name not in _BIASED_INPUTS:
        raise _elsewhere(path, f"architecture {name!r}")
    for key, ordinary in (
        ("hidden_act", "silu"),
        ("use_sliding_window", False),
        ("mlp_bias", False),
    ):
        if (found := config.given.get(key, ordinary)) != ordinary:
            raise _elsewhere(path, f"{key} = {found!r}")
    if config.given.get("quantization_config"):
        raise _elsewhere(path, "quantized weights")
    hidden, heads = config.size("hidden_size"), config.size("num_attention_heads")
    kv_heads = config.size("num_key_value_heads", heads)
    if heads % kv_heads:
        raise ConfigError(f"{path}: {heads} heads cannot share {kv_heads} key-value heads evenly")
    if "head_dim" not in config.given and hidden % heads:
        raise ConfigError(f"{path}: hidden_size {hidden} cannot be divided over {heads} heads")
    head = config.size("head_dim", hidden // heads)
    if head % 2:
        raise ConfigError(f"{path}: rotary positions need an even head_dim, not {head}")
    theta, scaling = _rotary(path, config)
    biased = bool(config.given.get("attention_bias", _BIASED_INPUTS[name]))
    vocabulary = config.size("vocab_size")
    return Architecture(
        hidden=hidden,
        layers=config.size("num_hidden_layers"),
        heads=heads,
        kv_heads=kv_heads,
        head=head,
        feed_forward=config.size("intermediate_size"),
        vocabulary=vocabulary,
        context=config.size("max_position_embeddings", 2048),
        epsilon=config.number("rms_norm_eps", 1e-6),
        theta=theta,
        scaling=scaling,
        input_bias=biased,
        output_bias=biased and name == "LlamaForCausalLM",
        tied=bool(config.given.get("tie_word_embeddings", False)),
        eos_ids=_eos_ids(folder, config, vocabulary),
    )


@dataclass(frozen=True, slots=True)
class _Config:
    path: Path
    given: dict[str, Any]

    def size(self, key: str, default: int | None = None) -> int:
        value = self.given.get(key)
        value = default if value is None else value
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigError(f"{self.path}: {key} = {value!r}; expected a positive integer")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        value = self.given.get(key)
        value = default if value is None else value
        if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
            raise ConfigError(f"{self.path}: {key} = {value!r}; expected a positive number")
        return float(value)


def _rotary(path: Path, config: _Config) -> tuple[float, Llama3Scaling | None]:
    """Base and scaling; in a group of their own since transformers 5, apart before."""
    given = config.given.get("rope_parameters") or config.given.get("rope_scaling") or {}
    if not isinstance(given, dict):
        raise ConfigError(f"{path}: rope_scaling = {given!r}; expected an object")
    rope = _Config(path, {"rope_theta": config.given.get("rope_theta"), **given})
    theta = rope.number("rope_theta", 10000.0)
    kind = given.get("rope_type", given.get("type", "default"))
    if kind == "default":
        return theta, None
    if kind != "llama3":
        raise _elsewhere(path, f"rope_type {kind!r}")
    return theta, Llama3Scaling(
        rope.number("factor"),
        rope.number("low_freq_factor"),
        rope.number("high_freq_factor"),
        rope.size("original_max_position_embeddings"),
    )


def _eos_ids(folder: Path, config: _Config, vocabulary: int) -> tuple[int, ...]:
    """Of `generation_config.json` where it says, else of `config.json`."""
    path, given = config.path, config.given.get("eos_token_id")
    generation = folder / "generation_config.json"
    if generation.exists() and (found := read_json(generation).get("eos_token_id")) is not None:
        path, given = generation, found
    ids = given if isinstance(given, list) else [] if given is None else [given]
    for id in ids:
        if not isinstance(id, int) or not 0 <= id < vocabulary:
            raise ConfigError(f"{path}: eos_token_id {id!r} is not in [0, {vocabulary})")
    return tuple(ids)


def _elsewhere(path: Path, what: str) -> ConfigError:
    return ConfigError(
        f"{path}: {what} is not for the nano engine, which runs unquantized "
        f"{' and '.join(_BIASED_INPUTS)}; use the backend transformers, vllm or sglang"
    )
