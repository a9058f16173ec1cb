"""Parse model-written text in the engine's own process: no warnings, no long work."""

from __future__ import annotations

import ast
import warnings

LONGEST = 64 << 10  # characters; no model writes more in a block, and parsing must stay cheap


def parse(code: str) -> ast.Module:
    """The tree; SyntaxError, ValueError, RecursionError or MemoryError when there is none."""
    if len(code) > LONGEST:
        raise ValueError(f"{len(code)} characters are too many to parse")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(code)
