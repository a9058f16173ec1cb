"""Opening: a model of the Hub, or of a folder, in this process, by its spec."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from tts.backends.base import Dialect, ModelInfo
from tts.backends.decoder.backend import DecoderBackend
from tts.backends.folder import advised_sampling, eos_ids, folder_dialect
from tts.backends.tokenizer import FolderTokenizer
from tts.errors import ConfigError, PluginError
from tts.extras import install

_WANTED: Final = ("*.json", "*.jinja", "*.safetensors")


def open_transformers(
    location: str,
    *,
    device: str = "",
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
    at_once: int = 64,
    cache_mb: int = 1024,
    parameters: float | None = None,
    context_tokens: int | None = None,
    step_tokens: int | None = None,
    answer_tokens: int | None = None,
) -> DecoderBackend:
    """A causal model by transformers: `transformers:Qwen/Qwen2.5-0.5B-Instruct,device=cuda`.

    What is no folder here comes from the Hub, or its local cache. `device` is a GPU where there is
    one, if empty; `dtype` as stored, on a CPU float32, if `auto`; `at_once` the most samples that
    are decoded at a time; `cache_mb` for keys and values of earlier requests, besides those in
    flight; `parameters` those active for a token, where not all are; `context_tokens` at most so
    many.

    Raises:
        ConfigError: there is no such model or device, or it cannot be run in this way.
        PluginError: torch or transformers is not installed.
    """
    for name, value, least in (("at_once", at_once, 1), ("cache_mb", cache_mb, 0)):
        if value < least:
            raise ConfigError(f"{name} = {value}; at least {least}")
    try:
        from tts.backends.transformers.engine import Engine
        from tts.backends.transformers.model import CausalModel
    except ImportError as error:
        raise PluginError(f"{error}: {install('transformers')}") from None
    folder = _folder(location)
    model = CausalModel(folder, device, dtype)
    context = min(filter(None, (context_tokens, model.context)), default=0)
    if not context:
        raise ConfigError(f"{folder} does not say how long its context is: context_tokens=...")
    tokenizer = FolderTokenizer(folder, model.vocabulary)
    engine = Engine(
        model,
        tokenizer,
        eos_ids=eos_ids(folder),
        context=context,
        cache_bytes=cache_mb << 20,
        at_once=at_once,
    )
    dialect = folder_dialect(folder) or Dialect()
    info = ModelInfo(
        name=f"transformers:{folder.name if Path(location).is_dir() else location}",
        parameters=int(parameters or model.parameters),
        context_tokens=context,
        eos_ids=eos_ids(folder),
        cache_tokens=engine.cache.capacity,
        dialect=replace(
            dialect,
            step_tokens=step_tokens or dialect.step_tokens,
            answer_tokens=answer_tokens or dialect.answer_tokens,
        ),
        sampling=advised_sampling(folder),
    )
    return DecoderBackend(engine, tokenizer, info, "transformers")


def _folder(location: str) -> Path:
    """Raises:
    ConfigError: there is none, here or on the Hub.
    """
    if not location:
        raise ConfigError("say which model: transformers:/path/to/model or transformers:OWNER/NAME")
    folder = Path(location).expanduser()
    if folder.is_dir():
        return folder.resolve()
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(location, allow_patterns=list(_WANTED)))
    except Exception as error:  # of several libraries: no such name, no network, no permission
        raise ConfigError(
            f"{location!r} is neither a folder here nor a model that the Hub gives: "
            f"{' '.join(str(error).split())[:200]}"
        ) from None
