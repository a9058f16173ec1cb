"""Folder: what a model's folder, in the Hugging Face Hub's format, says besides its weights."""

from __future__ import annotations

import json
import struct
from dataclasses import fields
from math import prod
from pathlib import Path
from typing import Any

from tts.backends.base import Dialect, Sampling
from tts.errors import ConfigError, unknown


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        ConfigError: there is no such file, or it holds no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected an object, found {type(content).__name__}")
    return content


def find_folder(name: str) -> Path | None:
    """The folder called `name` here, or a model of that name in the Hub's local cache.

    Nothing is downloaded. None if there is neither.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, "tokenizer.json")
    except HFValidationError:  # a path on the server's machine is no model's name
        return None
    return Path(found).parent if isinstance(found, str) else None


def advised_sampling(folder: Path) -> Sampling:
    """What `generation_config.json` advises."""
    path = folder / "generation_config.json"
    given = read_json(path) if path.exists() else {}
    if given.get("do_sample") is False:
        return Sampling(temperature=0.0)
    return Sampling(
        temperature=float(given.get("temperature") or 1.0),
        top_p=float(given.get("top_p") or 1.0),
        top_k=int(given.get("top_k") or 0),
    )


def eos_ids(folder: Path) -> tuple[int, ...]:
    """Ends of an answer: of `generation_config.json` where it says, else of `config.json`."""
    for path in (folder / "generation_config.json", folder / "config.json"):
        given = read_json(path).get("eos_token_id") if path.exists() else None
        if given is not None:
            return tuple(given) if isinstance(given, list) else (given,)
    return ()


def count_parameters(folder: Path) -> int | None:
    """Numbers in the folder's safetensors, from their headers alone; None if it holds none.

    Quantized weights count packed numbers, and a mixture of experts all of its experts.
    """
    total = 0
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
        total += sum(
            prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__"
        )
    return total or None


def folder_dialect(folder: Path) -> Dialect | None:
    """How the model was taught to be asked: its `tts_dialect.json`; None if it has none.

    Raises:
        ConfigError: the file says what no dialect has.
    """
    path = folder / "tts_dialect.json"
    if not path.exists():
        return None
    given = read_json(path)
    allowed = [field.name for field in fields(Dialect)]
    for name in given:
        if name not in allowed:
            raise unknown(f"field of {path.name}", name, allowed)
    return Dialect(**given)
