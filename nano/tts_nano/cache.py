"""Prefix cache: what was computed before, within a fixed amount of memory.

A pool of blocks, found through a radix tree; and for the prompts served last the hidden state
after their last token, with which a sibling starts without computing anything.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b

import numpy as np

from tts.backends.decoder.radix import Match, RadixTree
from tts_nano import blocks
from tts_nano.architecture import Architecture
from tts_nano.arrays import Floats
from tts_nano.blocks import BLOCK

_END_BYTES = 256  # of a hidden state's entry, besides the state


class PrefixCache:
    """Blocks and ends of prompts. Memory is taken as it is needed, and never more than `limit`."""

    def __init__(self, architecture: Architecture, limit: int) -> None:
        """`limit` in bytes."""
        shape = blocks.shape(architecture)
        bytes_each = 4 * (int(np.prod(shape)) + architecture.hidden) + _END_BYTES
        self.places = max(limit, 0) // bytes_each
        self.tree = RadixTree(self.places, BLOCK)
        # Not zeros: a place is always written whole, and NumPy asks for huge pages only for these.
        self._pool: Floats = np.empty((self.places, *shape), np.float32)
        self._ends: OrderedDict[bytes, Floats] = OrderedDict()  # the one used last is last

    @property
    def capacity(self) -> int:
        """Tokens that it can hold."""
        return self.places * BLOCK

    @property
    def size(self) -> int:
        """Bytes that its arrays take when they are full."""
        states = len(self._ends) * _END_BYTES + sum(each.nbytes for each in self._ends.values())
        return self._pool.nbytes + states

    def end(self, key: bytes) -> Floats | None:
        """Final hidden state after the prompt `key`, if it is known: [hidden]."""
        digest = _digest(key)
        if (hidden := self._ends.get(digest)) is not None:
            self._ends.move_to_end(digest)
        return hidden

    def keep_end(self, key: bytes, hidden: Floats) -> None:
        """Remember the final hidden state after the prompt `key`."""
        if self.places:
            self._ends[_digest(key)] = hidden
            if len(self._ends) > self.places:
                self._ends.popitem(last=False)

    def blocks(self, match: Match, first: int = 0) -> Floats:
        """A copy of the blocks of `match` from number `first` on: [count, *block].

        The last one holds tokens of others after those that match.
        """
        nodes = match.path[first:]
        if match.partial is not None:
            nodes = (*nodes, match.partial)
        return self._pool[[node.place for node in nodes]]

    def insert(self, key: bytes, block: Callable[[int], Floats]) -> None:
        """Cache the tokens of `key`, from position 0 on, as far as there is room.

        `block` gives the contents of a block by its number.
        """
        insertion = self.tree.insert(key)
        for number in insertion.written:
            self._pool[insertion.path[number].place] = block(number)


def _digest(key: bytes) -> bytes:
    return blake2b(key, digest_size=16).digest()
