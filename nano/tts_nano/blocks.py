"""Blocks: keys and values of `BLOCK` consecutive positions, of all layers, aligned to their number.

Everywhere (in the pool, in a prompt being read, in the batch) a block is
[layers, 2, kv_heads, head * BLOCK] float32: keys transposed, [head, BLOCK], as the scores' product
wants them, then values, [BLOCK, head]. Attention adds up block by block in order, so that a
result's bits do not depend on where a block is stored, or on who else reads it.
"""

from __future__ import annotations

from typing import Final

from tts_nano.architecture import Architecture
from tts_nano.arrays import Floats

BLOCK: Final = 32
"""Tokens a block. More would share less of a prefix, fewer would make smaller products."""


def shape(architecture: Architecture) -> tuple[int, int, int, int]:
    """Of one block."""
    size = architecture.head * BLOCK
    return architecture.layers, 2, architecture.kv_heads, size


def keys(blocks: Floats) -> list[Floats]:
    """For each layer, the keys as a view: [..., kv_heads, head, BLOCK]."""
    *some, layers, _, kv_heads, size = blocks.shape
    views = (blocks[..., i, 0, :, :] for i in range(layers))
    return [view.reshape(*some, kv_heads, size // BLOCK, BLOCK) for view in views]


def values(blocks: Floats) -> list[Floats]:
    """For each layer, the values as a view: [..., kv_heads, BLOCK, head]."""
    *some, layers, _, kv_heads, size = blocks.shape
    views = (blocks[..., i, 1, :, :] for i in range(layers))
    return [view.reshape(*some, kv_heads, BLOCK, size // BLOCK) for view in views]
