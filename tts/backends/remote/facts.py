"""Facts: what a served model is, from its server, from its folder here, or from knobs.

The server says its name, context and cache. Tokenizer, chat template, ends of answers, advice on
sampling and the number of parameters come from the model's folder on this machine, or from the
Hub's local cache. They have to be of the same model: `verify` has the server read our tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tts.backends.base import Dialect, ModelInfo
from tts.backends.folder import (
    advised_sampling,
    count_parameters,
    eos_ids,
    find_folder,
    folder_dialect,
    read_json,
)
from tts.backends.remote.wire import Told, Wire
from tts.backends.tokenizer import FolderTokenizer
from tts.errors import ConfigError

SAMPLE: Final = "Größe 12.5 + 30 = x,\n\nso \\boxed{Yes}. 数学"
"""A text on which tokenizers differ."""


@dataclass(frozen=True, slots=True)
class Known:
    """What its user tells of a model; None: find it out."""

    tokenizer: str | None = None
    """The model's folder here, or its name on the Hub if it is in the local cache."""
    parameters: float | None = None
    step_tokens: int | None = None
    answer_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A served model."""

    info: ModelInfo
    tokenizer: FolderTokenizer
    vocabulary: int
    """Token ids are below this."""
    version: str


def model_of(told: Told, known: Known, address: str) -> Model:
    """All that is to be known of the model at `address`.

    Raises:
        ConfigError: its folder is not found, or a fact is neither there nor among the knobs.
    """
    name = known.tokenizer or told.model
    folder = find_folder(name)
    if folder is None:
        raise ConfigError(
            f"{address} serves {told.served!r}, whose tokenizer is neither at {name!r} nor in the "
            "Hub's local cache: name its folder, tokenizer=/path/to/model, or get it, "
            f"hf download {name} --include '*.json'"
        )
    vocabulary = _vocabulary(folder)
    tokenizer = FolderTokenizer(folder, vocabulary)
    parameters = known.parameters or count_parameters(folder)
    if parameters is None:
        raise ConfigError(
            f"{folder} holds no weights to count: say how many parameters {told.served!r} has, "
            "parameters=7.6e9 (those active for a token)"
        )
    dialect = folder_dialect(folder) or Dialect()
    info = ModelInfo(
        name=told.served,
        parameters=int(parameters),
        context_tokens=told.context_tokens,
        eos_ids=eos_ids(folder),
        cache_tokens=told.cache_tokens,
        dialect=replace(
            dialect,
            step_tokens=known.step_tokens or dialect.step_tokens,
            answer_tokens=known.answer_tokens or dialect.answer_tokens,
        ),
        sampling=advised_sampling(folder),
    )
    return Model(info, tokenizer, vocabulary, told.version)


async def verify(model: Model, wire: Wire, address: str) -> None:
    """See that tokens are to the server what they are to the model's folder here.

    How the server splits a text does not matter, since it is never given any.

    Raises:
        ConfigError: they are not, or it does not do what searches rely on.
    """
    ids = model.tokenizer.encode(SAMPLE)
    theirs = await wire.text_of(ids)
    ours = model.tokenizer.decode(ids)
    if theirs is not None and theirs.strip() != ours.strip():
        raise ConfigError(
            f"{address}: {ours!r} in our tokens is {theirs[:60]!r} to the server of "
            f"{model.info.name!r}: name the folder of the served model, tokenizer=/path/to/model"
        )
    await wire.prove(ids[:8])


def _vocabulary(folder: Path) -> int:
    """Rows of the embedding; the most that is possible where nothing tells."""
    path = folder / "config.json"
    config = read_json(path) if path.exists() else {}
    size = config.get("vocab_size") or config.get("text_config", {}).get("vocab_size")
    return size if isinstance(size, int) else 1 << 31
