"""Opening: an engine for a model with a head, from a spec such as `vllm:http://host:8000`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tts.backends.base import ModelInfo
from tts.backends.remote.line import Line
from tts.backends.tokenizer import FolderTokenizer
from tts.errors import ConfigError
from tts_verifiers.prm.heads import StepScores
from tts_verifiers.prm.local import LocalHead
from tts_verifiers.prm.served import ClassifyServer, PoolingServer

_FOLDER: Final = "hf:FOLDER, in this process; needs the extra 'hf'"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is known of a released model with a head."""

    name: str
    """On the Hub."""
    parameters: int
    context_tokens: int
    layers: tuple[str, ...]
    """The head's linear layers, a ReLU between each two."""
    engines: Mapping[str, str]
    """The kinds of engine that can give its scores, and how each is started."""


QWEN_PRM_7B: Final = Checkpoint(
    "Qwen/Qwen2.5-Math-PRM-7B",
    7_080_000_000,
    4096,
    ("score.0", "score.2"),
    {
        "vllm": "vllm:http://HOST:PORT of `vllm serve Qwen/Qwen2.5-Math-PRM-7B --runner pooling "
        "--pooler-config '{\"step_tag_id\": 151651}'`, with tokenizer=FOLDER",
        "hf": _FOLDER,
    },
)
SKYWORK: Final = Checkpoint(
    "Skywork/Skywork-o1-Open-PRM-Qwen-2.5-7B",
    7_080_000_000,
    4096,
    ("v_head.summary",),
    {"hf": _FOLDER},
)
QWEN_RM: Final = Checkpoint(
    "Qwen/Qwen2.5-Math-RM-72B",
    71_500_000_000,
    4096,
    ("score.0", "score.2"),
    {
        "vllm": "vllm:http://HOST:PORT of `vllm serve MODEL --runner pooling`, tokenizer=FOLDER",
        "sglang": "sglang:http://HOST:PORT of `python -m sglang.launch_server --model-path MODEL "
        "--is-embedding`, with tokenizer=FOLDER",
        "hf": _FOLDER,
    },
)


def open_head(
    spec: str,
    checkpoint: Checkpoint,
    tokenizer: str = "",
    served: str = "",
    seconds: float = 600.0,
) -> StepScores:
    """The engine that `spec` names.

    Args:
        spec: KIND:WHERE; a folder or an address.
        checkpoint: what it serves.
        tokenizer: the folder with the model's `tokenizer.json`, for a server.
        served: the model's name on a server of several.
        seconds: most time for one request to a server.

    Raises:
        ConfigError: this model cannot be had from such an engine; the message says from which.
        PluginError: a library is not installed.
    """
    kind, _, where = spec.partition(":")
    if kind not in checkpoint.engines or not where:
        ways = "; or ".join(f"backend={way}" for way in checkpoint.engines.values())
        raise ConfigError(
            f"{checkpoint.name} answers through a head and not in words, so that "
            f"backend={spec!r} cannot serve it; what can: {ways}"
        )
    if kind == "hf":
        return LocalHead(where, checkpoint.layers)
    if not tokenizer:
        raise ConfigError(
            f"backend={spec} is sent token ids: add tokenizer=FOLDER, with the tokenizer.json of "
            f"{checkpoint.name}"
        )
    model = ModelInfo(checkpoint.name, checkpoint.parameters, checkpoint.context_tokens)
    spelling = FolderTokenizer(Path(tokenizer).expanduser())
    line = Line(where, seconds=seconds)
    if kind == "sglang":
        return ClassifyServer(line, model, spelling)
    return PoolingServer(line, model, spelling, served=served)


def sized(checkpoint: Checkpoint, parameters: int, context_tokens: int) -> Checkpoint:
    """`checkpoint` with another model's size.

    Raises:
        ConfigError: one of them is below 1.
    """
    for name, value in (("parameters", parameters), ("context_tokens", context_tokens)):
        if value < 1:
            raise ConfigError(f"{name}={value} must be at least 1")
    return replace(checkpoint, parameters=parameters, context_tokens=context_tokens)
