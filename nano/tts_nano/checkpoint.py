"""Checkpoint: tensors of safetensors files, as float32, checked before anything is believed.

The format (huggingface/safetensors, README): the length of a header (8 bytes, little endian), the
header (JSON: name to dtype, shape and place), the data. Read here without the library, whose NumPy
side knows no bfloat16.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tts.backends.folder import read_json
from tts.errors import ConfigError
from tts_nano.arrays import Floats

_BYTES = {"BF16": 2, "F16": 2, "F32": 4}
_LONGEST_HEADER = 100_000_000  # bytes; the limit of the format


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a tensor lies in its file."""

    file: Path
    start: int
    dtype: str
    shape: tuple[int, ...]


class Checkpoint:
    """The tensors of a model folder: `model.safetensors`, or the shards that its index lists."""

    def __init__(self, folder: Path) -> None:
        """Read the headers.

        Raises:
            ConfigError: a file is missing, truncated or not of this format.
        """
        if not folder.is_dir():
            raise ConfigError(f"{folder}: no such folder")
        self._folder = folder
        self._places: dict[str, _Place] = {}
        index = folder / "model.safetensors.index.json"
        if not index.exists():
            self._places.update(_read_header(folder / "model.safetensors"))
            return
        shards = read_json(index).get("weight_map")
        if not isinstance(shards, dict) or not all(isinstance(v, str) for v in shards.values()):
            raise ConfigError(f"{index}: weight_map should say which file holds each tensor")
        for shard in sorted(set(shards.values())):
            self._places.update(_read_header(folder / shard))

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def read(self, name: str, shape: Sequence[int]) -> Floats:
        """The tensor `name`, float32.

        Raises:
            ConfigError: there is none, or it is not of `shape`.
        """
        place = self._places.get(name)
        if place is None:
            raise ConfigError(f"{self._folder}: the checkpoint has no tensor {name!r}")
        if place.shape != tuple(shape):
            raise ConfigError(
                f"{place.file}: {name} is {list(place.shape)}; config.json asks for {list(shape)}"
            )
        count = math.prod(shape)
        stored = {"BF16": np.uint16, "F16": np.float16, "F32": np.float32}[place.dtype]
        data = np.fromfile(place.file, stored, count, offset=place.start)
        if place.dtype == "BF16":  # the upper half of a float32
            data = (data.astype(np.uint32) << 16).view(np.float32)
        return data.astype(np.float32, copy=False).reshape(shape)


def _read_header(file: Path) -> dict[str, _Place]:
    """Places of the tensors in one file; every one of them lies inside it."""
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            if size < 8 or length > min(size - 8, _LONGEST_HEADER):
                raise ConfigError(f"{file}: truncated, or not a safetensors file")
            header = json.loads(opened.read(length))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror or error}") from None
    except ValueError as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{file}: its header is not JSON") from None
    if not isinstance(header, dict):
        raise ConfigError(f"{file}: its header is not an object")
    header.pop("__metadata__", None)
    return {name: _place(file, size, 8 + length, name, entry) for name, entry in header.items()}


def _place(file: Path, size: int, data: int, name: str, entry: object) -> _Place:
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(start), int(end)]}:
            pass
        case _:
            raise ConfigError(f"{file}: the header's entry for {name!r} is malformed")
    if dtype not in _BYTES:
        raise ConfigError(
            f"{file}: {name} is {dtype}; the nano engine reads {', '.join(_BYTES)}: use the "
            "backend transformers, vllm or sglang"
        )
    if not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ConfigError(f"{file}: the header's entry for {name!r} is malformed")
    if start < 0 or end - start != math.prod(shape) * _BYTES[dtype]:
        raise ConfigError(
            f"{file}: {name} has {end - start} bytes; its shape {shape} asks for others"
        )
    if data + end > size:
        raise ConfigError(f"{file}: truncated: {name} ends at {data + end}, the file at {size}")
    return _Place(file, data + start, dtype, tuple(shape))
