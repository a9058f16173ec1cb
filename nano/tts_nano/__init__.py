"""The embedded engine: a NumPy decoder for small Qwen2 and Llama models.

A request's life: `backend` hands it to the `worker` thread, whose `engine` admits it. The `cache`
(a pool of blocks under the `radix` tree) says how much of its prompt is known; the rest passes
through the `model` once. Each sample then takes a slot of the `batch`, where `attention` reads the
blocks that it shares with its siblings once for all of them; `sampling` draws a token a step
until `stops` or a limit ends it, and its keys and values go to the cache for the next request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tts_nano.backend import NanoBackend as NanoBackend

__all__ = ["NanoBackend", "model_folder", "open_nano"]


def __getattr__(name: str) -> object:
    # NumPy and the tokenizer are loaded by whoever runs the engine, not by who imports a problem.
    if name == "NanoBackend":
        from tts_nano.backend import NanoBackend

        return NanoBackend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def open_nano(location: str = "") -> NanoBackend:
    """The backend `nano`: a model that comes along, by name, or a checkpoint in a folder.

    `""` is the policy. What contains a slash or begins with a dot or a tilde is a folder.

    Raises:
        ConfigError: there is no such model, or the folder holds none that this engine can run.
    """
    from pathlib import Path

    from tts_nano.backend import NanoBackend, shipped

    if "/" in location or location.startswith((".", "~")):
        return NanoBackend.load(Path(location).expanduser())
    return shipped(location or "policy")


def model_folder(name: str) -> Path:
    """Where the model that comes along as `name` lies, for other engines to serve.

    Raises:
        ConfigError: there is no such model.
    """
    from tts_nano.backend import shipped_folder

    return shipped_folder(name)
