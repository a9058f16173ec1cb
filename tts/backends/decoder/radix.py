"""Radix tree: which token sequences are cached, and where. It knows places, not what is in them.

A node is one block: up to `block` tokens, a place in a pool, and, when it is full, children. Keys
are tokens as big-endian 32-bit numbers, so that their order as bytes is their order as tokens:
among the sorted children the longest match is always next to where the searched key belongs.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

WIDTH = 4
"""Bytes a token in a key."""


def key_of(tokens: Sequence[int] | Integers) -> bytes:
    """The key of `tokens`."""
    return np.asarray(tokens, ">u4").tobytes()


def common_tokens(a: bytes, b: bytes) -> int:
    """How many tokens two keys have in common at their start."""
    length = min(len(a), len(b))
    difference = int.from_bytes(a[:length]) ^ int.from_bytes(b[:length])
    return (8 * length - difference.bit_length()) // (8 * WIDTH)


@dataclass(slots=True, eq=False)
class Node:
    """A block of tokens, after those of its ancestors."""

    parent: Node | None
    key: bytes
    place: int
    users: int = 0
    """Samples that need it or a descendant: it must stay."""
    used: int = 0
    """When it was last asked for; larger is later."""
    queued: bool = False
    """Whether it waits to be evicted."""
    keys: list[bytes] = field(default_factory=list)
    """Of its children, sorted."""
    children: list[Node] = field(default_factory=list)

    def nearest(self, key: bytes) -> tuple[Node | None, int]:
        """The child that has most tokens in common with `key`, and how many."""
        at = bisect_left(self.keys, key)
        best, most = None, 0
        for child in self.children[max(at - 1, 0) : at + 1]:
            if (tokens := common_tokens(child.key, key)) > most:
                best, most = child, tokens
        return best, most


@dataclass(frozen=True, slots=True)
class Match:
    """The longest cached prefix of a key."""

    path: tuple[Node, ...]
    """Its full blocks."""
    partial: Node | None
    """A block whose first tokens go on from there."""
    tokens: int
    """All of them."""


@dataclass(frozen=True, slots=True)
class Insertion:
    """What has to be written so that the tree speaks the truth."""

    tokens: int
    """Tokens of the key that are cached now; fewer than all if no place was left."""
    path: tuple[Node, ...]
    """Their nodes."""
    written: tuple[int, ...]
    """Numbers of the blocks on the path whose contents have to be written to their places."""


class RadixTree:
    """Token sequences in at most `places` blocks of `block` tokens."""

    def __init__(self, places: int, block: int) -> None:
        self._root = Node(None, b"", -1)
        self._bytes = block * WIDTH
        self._free = list(range(places))[::-1]
        self._clock = 0
        # Nodes that may be evictable, oldest first; checked when popped.
        self._queue: list[tuple[int, int, Node]] = []
        self.evictions = 0

    @property
    def free(self) -> int:
        """Places that hold nothing."""
        return len(self._free)

    @property
    def users(self) -> int:
        """Samples that hold anything."""
        return self._root.users

    def match(self, key: bytes) -> Match:
        """The longest cached prefix of `key`; marks it as used."""
        self._clock += 1
        node, start = self._root, 0
        path: list[Node] = []
        while start < len(key):
            child, tokens = node.nearest(key[start : start + self._bytes])
            if child is None:
                break
            child.used = self._clock
            if tokens * WIDTH < self._bytes:
                return Match(tuple(path), child, start // WIDTH + tokens)
            path.append(child)
            node = child
            start += self._bytes
        return Match(tuple(path), None, start // WIDTH)

    def insert(self, key: bytes) -> Insertion:
        """Cache `key`, as far as places are found; evicts what was used longest ago."""
        self._clock += 1
        written: list[int] = []
        path: list[Node] = []
        node, tokens = self._root, 0
        for start in range(0, len(key), self._bytes):
            piece = key[start : start + self._bytes]
            child, common = node.nearest(piece)
            common *= WIDTH
            if child is None or common < min(len(child.key), len(piece)):
                child = self._add(node, piece)
                if child is None:
                    break
                written.append(len(path))
            elif len(child.key) < len(piece):  # a leaf that goes on: no other block is needed
                self._rename(child, piece)
                written.append(len(path))
            child.used = self._clock
            path.append(child)
            node = child
            tokens = (start + len(piece)) // WIDTH
        return Insertion(tokens, tuple(path), tuple(written))

    def hold(self, node: Node, samples: int) -> None:
        """Keep `node` and its ancestors until released as often."""
        each: Node | None = node
        while each is not None:
            each.users += samples
            each = each.parent

    def release(self, node: Node, samples: int) -> None:
        """Undo `hold`."""
        each: Node | None = node
        while each is not None:
            each.users -= samples
            assert each.users >= 0
            self._enqueue(each)
            each = each.parent

    def check(self, places: int) -> None:
        """Assert that the tree is sound: every place is in it once or free, users add up."""
        seen, waiting = list(self._free), [self._root]
        while waiting:
            node = waiting.pop()
            assert node.keys == sorted(node.keys) == [child.key for child in node.children]
            assert sum(child.users for child in node.children) <= node.users or node is self._root
            assert not node.children or node is self._root or len(node.key) == self._bytes
            assert node.children or node.users or node.queued or node is self._root
            seen += [child.place for child in node.children]
            waiting += node.children
        assert sorted(seen) == list(range(places))

    def _add(self, parent: Node, key: bytes) -> Node | None:
        parent.users += 1  # not to be evicted for its own child
        place = self._place()
        parent.users -= 1
        if place is None:
            self._enqueue(parent)
            return None
        child = Node(parent, key, place, used=self._clock)
        at = bisect_left(parent.keys, key)
        parent.keys.insert(at, key)
        parent.children.insert(at, child)
        self._enqueue(child)
        return child

    def _rename(self, node: Node, key: bytes) -> None:
        parent = self._unlink(node)
        node.key = key
        at = bisect_left(parent.keys, key)
        parent.keys.insert(at, key)
        parent.children.insert(at, node)

    def _unlink(self, node: Node) -> Node:
        parent = node.parent
        assert parent is not None
        at = bisect_left(parent.keys, node.key)
        del parent.keys[at], parent.children[at]
        return parent

    def _place(self) -> int | None:
        """A free place, of an evicted leaf if need be; None if all that is cached is in use."""
        if self._free:
            return self._free.pop()
        while self._queue:
            used, _, node = heapq.heappop(self._queue)
            node.queued = False
            if node.children or node.users:
                continue  # comes back when that ends
            if node.used != used:
                self._enqueue(node)
                continue
            parent = self._unlink(node)
            self.evictions += 1
            self._enqueue(parent)
            return node.place
        return None

    def _enqueue(self, node: Node) -> None:
        """Let `node` be evicted when its time comes, if it can be."""
        if not (node.queued or node.children or node.users) and node is not self._root:
            node.queued = True
            heapq.heappush(self._queue, (node.used, node.place, node))
