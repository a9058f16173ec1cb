"""Cache: keys and values of earlier requests, in a pool of blocks on the device, of fixed size.

What is cached and where, and what is evicted (leaves, the one asked for longest ago first), the
radix tree says; here is what is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import torch

from tts.backends.decoder.radix import WIDTH, Match, RadixTree
from tts.backends.transformers.layout import Layout, Tensor

BLOCK: Final = 16
"""Tokens."""


class Prompt:
    """Keys and values of one prompt while it is read, and for those who begin with it."""

    def __init__(self, layout: Layout, size: int) -> None:
        """`size`: its tokens."""
        self.length = 0
        """Tokens that are there."""
        self.size = size
        self.planes = layout.tensors(None, size)
        """[count, heads, size, head size] each."""
        self.logits: Tensor | None = None
        """After its last token, once it is read: [vocabulary]."""
        self.users = 0
        """Rows that read it in place."""


class PrefixCache:
    """Blocks of tokens."""

    def __init__(self, layout: Layout, limit: int) -> None:
        """`limit` in bytes."""
        self.places = max(limit, 0) // (layout.token_bytes * BLOCK)
        self.tree = RadixTree(self.places, BLOCK)
        self._layout = layout
        # [places, count, heads, BLOCK, size] each; memory of a CPU is taken as it is written.
        self._pool = [
            torch.empty(
                (self.places, plane.count, plane.heads, BLOCK, plane.size),
                dtype=layout.dtype,
                device=layout.device,
            )
            for plane in layout.planes
        ]

    @property
    def capacity(self) -> int:
        """Tokens that it can hold."""
        return self.places * BLOCK

    def read(self, match: Match, tokens: int, into: Sequence[Tensor]) -> None:
        """Copy the first `tokens` of a match to the beginning of `into`.

        `into` is [count, heads, tokens or more, size] for each plane.
        """
        if tokens == 0:
            return
        nodes = match.path if match.partial is None else (*match.path, match.partial)
        places = [node.place for node in nodes[: -(-tokens // BLOCK)]]
        for pool, plane in zip(self._pool, into, strict=True):
            blocks = pool[places]  # [blocks, count, heads, BLOCK, size]
            plane[:, :, :tokens] = blocks.permute(1, 2, 0, 3, 4).flatten(2, 3)[:, :, :tokens]

    def keep(self, key: bytes, between: Callable[[int, int], Sequence[Tensor]]) -> None:
        """Cache the tokens of `key` that are not yet, as far as there is room.

        `between` gives what is known of the tokens from one position to another, the latter not
        included: [count, heads, tokens, size] for each plane.
        """
        tokens = len(key) // WIDTH
        insertion = self.tree.insert(key)
        if not insertion.written:
            return
        first, last = insertion.written[0], insertion.written[-1] + 1
        chosen = [number - first for number in insertion.written]
        places = [insertion.path[number].place for number in insertion.written]
        short = max(0, last * BLOCK - tokens)
        planes = between(first * BLOCK, last * BLOCK - short)
        for pool, plane in zip(self._pool, planes, strict=True):
            padded = torch.nn.functional.pad(plane, (0, 0, 0, short))
            blocks = padded.unflatten(2, (-1, BLOCK)).permute(2, 0, 1, 3, 4)
            pool[places] = blocks[chosen]
