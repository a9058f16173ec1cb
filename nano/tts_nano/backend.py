"""Backend: the embedded engine as `tts` sees it."""

from __future__ import annotations

import os
from pathlib import Path

from tts.backends.base import Dialect, ModelInfo
from tts.backends.decoder.backend import DecoderBackend
from tts.backends.folder import advised_sampling, folder_dialect
from tts.backends.tokenizer import FolderTokenizer
from tts.errors import ConfigError, unknown
from tts_nano import blas
from tts_nano.engine import Engine
from tts_nano.model import Model

SHIPPED = Path(__file__).parent / "weights"
"""The models that come with `tts`, a folder each."""


class NanoBackend(DecoderBackend):
    """A NumPy decoder for one model."""

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        cache_bytes: int = 256 << 20,
        threads: int = 1,
        max_batch: int = 64,
        dialect: Dialect | None = None,
    ) -> NanoBackend:
        """The model in a Hugging Face folder: Qwen2 or Llama, unquantized.

        Args:
            path: holds `config.json`, `tokenizer.json` and safetensors.
            cache_bytes: most memory for keys and values of earlier requests.
            threads: of matrix products, for the whole process.
            max_batch: samples that are decoded at once. Each takes memory for its own tokens,
                besides the cache.
            dialect: how the model was taught to be asked; what its folder says if None.

        Raises:
            ConfigError: the folder holds no such model; says which file is wrong, and why.
        """
        for name, value, least in (
            ("cache_bytes", cache_bytes, 0),
            ("threads", threads, 1),
            ("max_batch", max_batch, 1),
        ):
            if value < least:
                raise ConfigError(f"{name} = {value}; at least {least}")
        blas.set_threads(threads)
        folder = Path(path)
        model = Model.load(folder)
        a = model.architecture
        tokenizer = FolderTokenizer(folder, a.vocabulary)
        engine = Engine(model, tokenizer, cache_bytes=cache_bytes, max_batch=max_batch)
        info = ModelInfo(
            name=f"nano:{folder.resolve().name}",
            parameters=model.parameters,
            context_tokens=a.context,
            eos_ids=a.eos_ids,
            cache_tokens=engine.cache.capacity,
            dialect=dialect or folder_dialect(folder) or Dialect(),
            sampling=advised_sampling(folder),
        )
        return cls(engine, tokenizer, info, "nano")


def shipped(
    name: str = "policy", *, cache_bytes: int = 256 << 20, max_batch: int = 64
) -> NanoBackend:
    """A model that comes with `tts`.

    Raises:
        ConfigError: none of that name comes along; the message lists those that do.
    """
    folder = shipped_folder(name)
    return NanoBackend.load(folder, cache_bytes=cache_bytes, max_batch=max_batch)


def shipped_folder(name: str) -> Path:
    """The folder of the model that comes along as `name`.

    Raises:
        ConfigError: none of that name does; the message lists those that do.
    """
    names = [folder.parent.name for folder in SHIPPED.glob("*/config.json")]
    if name not in names:
        raise unknown("nano model", name, names)
    return SHIPPED / name
