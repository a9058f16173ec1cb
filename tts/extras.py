"""Extras: what is not installed with the rest, the modules that it needs, and how to get it."""

from __future__ import annotations

from typing import Final

EXTRAS: Final = {
    "transformers": ("torch", "transformers"),
    "vllm": ("vllm",),
    "sglang": ("sglang",),
    "ray": ("ray",),
}
"""Modules, by the name of the extra."""


def install(extra: str = "", *options: str) -> str:
    """The command that gets `extra`, or the rest again, from a checkout."""
    what = f"'.[{extra}]'" if extra else "."
    return " ".join(["pip install", *options, f"-e {what} in a checkout of tts"])
