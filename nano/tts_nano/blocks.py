"""Blocks: keys and values of `BLOCK` consecutive positions, of all layers, aligned to their number.

Everywhere (in the pool, in a prompt being read, in the batch) a block is
[layers, 2, kv_heads, head * BLOCK] float32: keys transposed, [head, BLOCK], as the scores' product
wants them, then values, [BLOCK, head]. Attention adds up block by block in order, so that a
result's bits do not depend on where a block is stored, or on who else reads it.

What is read at every step (the batch, the runs) is laid out by layer instead, [layers, 2, ...]:
reading one layer of all samples goes through memory in order, which is almost twice as fast.
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


def by_layer(blocks: Floats) -> Floats:
    """[count, *block] with the layers in front, a view: [layers, 2, count, kv_heads, size]."""
    return blocks.transpose(1, 2, 0, 3, 4)


def keys(blocks: Floats) -> list[Floats]:
    """Of `blocks` [layers, 2, ..., kv_heads, size], for each layer a view of the keys:
    [..., kv_heads, head, BLOCK].
    """
    *some, size = blocks.shape[2:]
    return [layer[0].reshape(*some, size // BLOCK, BLOCK) for layer in blocks]


def values(blocks: Floats) -> list[Floats]:
    """Of `blocks` [layers, 2, ..., kv_heads, size], for each layer a view of the values:
    [..., kv_heads, BLOCK, head].
    """
    *some, size = blocks.shape[2:]
    return [layer[1].reshape(*some, BLOCK, size // BLOCK) for layer in blocks]
