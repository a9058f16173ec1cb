"""Shapes: what of a model decides how much memory and arithmetic it takes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from tts.backends.folder import count_parameters, find_folder, read_json
from tts.errors import ConfigError, unknown


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder of the Llama family: dense, and every layer attends to the whole context."""

    name: str
    parameters: int
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head: int
    """Numbers per head."""
    context: int
    """Longest prompt and output together, tokens."""
    source: str = ""
    """Where the figures stand."""
    scores: bool = False
    """Whether it gives scores of prompts and writes nothing."""

    def cache_numbers(self) -> int:
        """Numbers that a token leaves in the cache: keys and values of each layer's heads."""
        return 2 * self.layers * self.kv_heads * self.head


@dataclass(frozen=True, slots=True)
class Precision:
    """How numbers are kept."""

    name: str
    """As engines call it."""
    weight_bytes: int
    cache_bytes: int


PRECISIONS: Final = {
    precision.name: precision
    for precision in (
        Precision("float32", 4, 4),
        Precision("bfloat16", 2, 2),
        Precision("float16", 2, 2),
        Precision("fp8", 1, 2),  # weights only
    )
}


def precision_of(name: str) -> Precision:
    """Raises:
    ConfigError: there is none of that name.
    """
    if name not in PRECISIONS:
        raise unknown("precision", name, PRECISIONS)
    return PRECISIONS[name]


@dataclass(frozen=True, slots=True)
class _Sizes:
    """What `config.json` says, as far as parameters follow from it."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head: int
    feed_forward: int
    vocabulary: int
    context: int
    tied: bool
    input_bias: bool

    @property
    def parameters(self) -> int:
        """Numbers in the weights of a causal language model of these sizes."""
        inputs = (self.heads + 2 * self.kv_heads) * self.head
        attention = self.hidden * (inputs + self.heads * self.head) + self.input_bias * inputs
        layer = attention + 3 * self.hidden * self.feed_forward + 2 * self.hidden
        embeddings = self.vocabulary * self.hidden * (1 if self.tied else 2)
        return self.layers * layer + self.hidden + embeddings

    def shape(self, name: str, parameters: int, source: str) -> Shape:
        return Shape(
            name,
            parameters,
            self.layers,
            self.hidden,
            self.heads,
            self.kv_heads,
            self.head,
            self.context,
            source,
        )


# As in `config.json` on the Hub; that of Qwen2.5-Math stands in litgpt's `config.py` too. As many
# parameters follow as the weights there have: 1,543,714,304 and 7,615,616,512 (Qwen2.5),
# 1,777,088,000 (DeepSeek-R1-Distill-Qwen-1.5B), 1,235,814,400 and 3,212,749,824 (Llama 3.2).
_QWEN_1_5B: Final = _Sizes(1536, 28, 12, 2, 128, 8960, 151_936, 4096, tied=True, input_bias=True)
_QWEN_7B: Final = _Sizes(3584, 28, 28, 4, 128, 18_944, 152_064, 4096, tied=False, input_bias=True)
_LLAMA_1B: Final = _Sizes(2048, 16, 32, 8, 64, 8192, 128_256, 131_072, tied=True, input_bias=False)
_LLAMA_3B: Final = _Sizes(3072, 28, 24, 8, 128, 8192, 128_256, 131_072, tied=True, input_bias=False)


def _published() -> dict[str, Shape]:
    long_1_5b = replace(_QWEN_1_5B, context=131_072, tied=False)
    sizes = {
        "Qwen/Qwen2.5-Math-1.5B": _QWEN_1_5B,
        "Qwen/Qwen2.5-Math-1.5B-Instruct": _QWEN_1_5B,
        "Qwen/Qwen2.5-Math-7B": _QWEN_7B,
        "Qwen/Qwen2.5-Math-7B-Instruct": _QWEN_7B,
        # Fine-tuned DeepSeek-R1-Distill-Qwen-1.5B and -7B (Zhao et al. 2025).
        "GenPRM/GenPRM-1.5B": long_1_5b,
        "GenPRM/GenPRM-7B": replace(_QWEN_7B, context=131_072),
        "meta-llama/Llama-3.2-1B": _LLAMA_1B,
        "meta-llama/Llama-3.2-1B-Instruct": _LLAMA_1B,
        "meta-llama/Llama-3.2-3B": _LLAMA_3B,
        "meta-llama/Llama-3.2-3B-Instruct": _LLAMA_3B,
    }
    source = "its config.json on the Hub; parameters follow from it"
    shapes = {name: each.shape(name, each.parameters, source) for name, each in sizes.items()}
    # Two layers to a pair of scores in place of the output matrix: vLLM's `models/qwen2_rm.py`.
    prm = "Qwen/Qwen2.5-Math-PRM-7B"
    hidden, rows = _QWEN_7B.hidden, _QWEN_7B.vocabulary
    parameters = _QWEN_7B.parameters - rows * hidden + hidden * hidden + hidden + 2 * hidden + 2
    shapes[prm] = replace(_QWEN_7B.shape(prm, parameters, source), scores=True)
    return shapes


PUBLISHED: Final = _published()
"""Models whose shapes are known without their files, by their names on the Hub."""


def shape_of(name: str) -> Shape:
    """The shape of the model in the folder `name`, in the Hub's local cache, or of a known one.

    Known ones may be named without whose they are, in any case: `genprm-7b`.

    Raises:
        ConfigError: there is none, or its `config.json` is of a model of another kind.
    """
    by_end = {each.rpartition("/")[2].lower(): each for each in PUBLISHED}
    known = PUBLISHED.get(by_end.get(name.rpartition("/")[2].lower(), ""))
    if Path(name).expanduser().is_dir():
        return read_shape(Path(name).expanduser())
    if known is not None:
        return known
    folder = find_folder(name)
    if folder is None:
        raise ConfigError(
            f"model {name!r} is no folder, not in the Hub's local cache, and none of those whose "
            f"shape is known ({', '.join(PUBLISHED)})"
        )
    return replace(read_shape(folder), name=name)


def read_shape(folder: Path) -> Shape:
    """What `config.json` in `folder` says; parameters are counted in the weights if they are there.

    Raises:
        ConfigError: the file is missing or broken, or the model is not dense, is quantized, or
            keeps something else than keys and values of the whole context.
    """
    path = folder / "config.json"
    config = _Config(path, read_json(path))
    config.refuse_other_kinds()
    hidden, heads = config.size("hidden_size"), config.size("num_attention_heads")
    sizes = _Sizes(
        hidden=hidden,
        layers=config.size("num_hidden_layers"),
        heads=heads,
        kv_heads=config.size("num_key_value_heads", heads),
        head=config.size("head_dim", hidden // heads),
        feed_forward=config.size("intermediate_size"),
        vocabulary=config.size("vocab_size"),
        context=config.size("max_position_embeddings", 2048),
        tied=bool(config.given.get("tie_word_embeddings", False)),
        input_bias=config.architecture.startswith("Qwen2"),
    )
    counted = count_parameters(folder)
    if counted is None and not config.architecture.endswith("ForCausalLM"):
        raise ConfigError(f"{folder} holds no weights to count, and is no causal language model")
    shape = sizes.shape(folder.name, counted or sizes.parameters, str(path))
    return replace(shape, scores="Reward" in config.architecture)


@dataclass(frozen=True, slots=True)
class _Config:
    path: Path
    given: dict[str, Any] = field(repr=False)

    @property
    def architecture(self) -> str:
        names = self.given.get("architectures")
        return str(names[0]) if isinstance(names, list) and names else ""

    def size(self, key: str, default: int | None = None) -> int:
        value = self.given.get(key)
        value = default if value is None else value
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigError(f"{self.path}: {key} = {value!r}; expected a positive integer")
        return value

    def refuse_other_kinds(self) -> None:
        for key, kind in (
            ("quantization_config", "quantized weights"),
            ("num_experts", "a mixture of experts"),
            ("num_local_experts", "a mixture of experts"),
            ("kv_lora_rank", "compressed keys and values"),
            ("use_sliding_window", "a sliding window"),
            ("text_config", "a model of more than text"),
        ):
            if self.given.get(key):
                raise ConfigError(f"{self.path}: {kind} ({key}): no plan can be made for it")
