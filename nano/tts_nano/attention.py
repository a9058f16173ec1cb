"""Attention: block by block, blocks that samples share once for all of them.

Softmax needs the largest score first and two sums after; the largest is the same in any order, and
both sums run over blocks in the order of their positions, so that a sample's result has the same
bits whether a block is its own or shared, read while decoding or while a prompt is taken in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tts_nano import blocks as block_views
from tts_nano.arrays import Floats, Integers
from tts_nano.blocks import BLOCK


def sums_in_order(head: int, group: int) -> bool:
    """Whether this BLAS gives scores and mixes of `group` rows the bits they have among many."""
    draw = np.random.default_rng(0)
    for inputs, outputs in ((head, BLOCK), (BLOCK, head)):
        x = draw.standard_normal((200, inputs), dtype=np.float32)
        y = draw.standard_normal((inputs, outputs), dtype=np.float32)
        full = x @ y
        for rows in (group, 2 * group, 5 * group, 64, 199):
            if not np.array_equal(x[-rows:] @ y, full[-rows:]):
                return False
    return True


class Run:
    """Blocks from position 0 on that several samples begin with."""

    def __init__(self, blocks: Floats) -> None:
        """`blocks`: [count, *block]."""
        self.blocks: Floats = np.ascontiguousarray(block_views.by_layer(blocks))
        """[layers, 2, count, kv_heads, size]"""
        self.count = len(blocks)
        self.keys, self.values = block_views.keys(self.blocks), block_views.values(self.blocks)
        self.samples = 0
        """Samples that use it now."""
        self.slots: Integers | slice = slice(0)
        """Of these samples."""


class BatchAttention:
    """One new position for each of `rows` samples: a run's blocks, then blocks of their own."""

    def __init__(
        self,
        keys: Sequence[Floats],
        values: Sequence[Floats],
        hidden: Floats,
        own: Integers,
        runs: Sequence[Run],
        scratch: Scratch,
    ) -> None:
        """
        Args:
            keys: for each layer [blocks, slots, kv_heads, head, BLOCK].
            values: for each layer [blocks, slots, kv_heads, BLOCK, head].
            hidden: 0 where a slot's position is known or being added, -inf elsewhere:
                [blocks, slots, BLOCK].
            own: tokens that each sample has in blocks of its own, before this one: [rows].
            runs: those in use.
            scratch: memory for intermediate results.
        """
        self._keys, self._values, self._runs, self._scratch = keys, values, runs, scratch
        rows = len(own)
        self._rows = np.arange(rows)
        self._block, self._offset = np.divmod(own, BLOCK)
        # Block j has to be read up to the last slot that has come so far.
        count = int(self._block.max()) + 1
        reached = (self._block >= np.arange(count)[:, None])[:, ::-1]
        self._reach: list[int] = (rows - reached.argmax(axis=1)).tolist()
        self._complete = int(self._block.min())  # blocks that no sample has yet to fill
        self._hidden = hidden

    def __call__(self, layer: int, q: Floats, k: Floats, v: Floats, out: Floats) -> None:
        rows, kv_heads, group, head = q.shape
        keys, values, take = self._keys[layer], self._values[layer], self._scratch.take
        keys[self._block, self._rows, :, :, self._offset] = k
        values[self._block, self._rows, :, self._offset] = v
        own = take("own", (len(self._reach), rows, kv_heads, group, BLOCK))
        lanes = take("lanes", (rows, kv_heads, group, BLOCK))
        for j, reach in enumerate(self._reach):
            scores = np.matmul(q[:reach], keys[j, :reach], out=own[j, :reach])
            if j >= self._complete:
                scores += self._hidden[j, :reach, None, None]
            if j == 0:
                lanes[:] = scores
            else:
                np.maximum(lanes[:reach], scores, out=lanes[:reach])
        shared = [self._scores(run, layer, q, lanes, i) for i, run in enumerate(self._runs)]
        largest = over_lanes(np.maximum, lanes)
        mixed = take("mixed", (rows, kv_heads, group, head))
        lanes[:] = 0.0  # from here on they sum up weights
        mixed[:] = 0.0
        for run, scores in zip(self._runs, shared, strict=True):
            self._mix(run, layer, scores, largest, lanes, mixed)
        part = take("part", (rows, kv_heads, group, head))
        for j, reach in enumerate(self._reach):
            weights = own[j, :reach]
            weights -= largest[:reach]
            np.exp(weights, out=weights)
            lanes[:reach] += weights
            mixed[:reach] += np.matmul(weights, values[j, :reach], out=part[:reach])
        np.divide(mixed, over_lanes(np.add, lanes), out=out)

    def _scores(self, run: Run, layer: int, q: Floats, lanes: Floats, index: int) -> Floats:
        """Scores of a run's blocks, one product for all its samples; raises `lanes`."""
        _, kv_heads, group, head = q.shape
        keys = run.keys[layer]
        rows = run.samples * group
        together = self._scratch.take("together", (kv_heads, run.samples, group, head))
        together[:] = q[run.slots].swapaxes(0, 1)
        scores = self._scratch.take(f"run {index}", (len(keys), kv_heads, rows, BLOCK))
        np.matmul(together.reshape(kv_heads, rows, head), keys, out=scores)
        top = np.maximum.reduce(scores, axis=0).reshape(kv_heads, -1, group, BLOCK)
        lanes[run.slots] = np.maximum(lanes[run.slots], top.swapaxes(0, 1))
        return scores

    def _mix(
        self, run: Run, layer: int, scores: Floats, largest: Floats, lanes: Floats, mixed: Floats
    ) -> None:
        """The run's part of both sums, which comes before any other."""
        values = run.values[layer]
        count, kv_heads, rows, _ = scores.shape
        head = values.shape[-1]
        scores -= largest[run.slots].swapaxes(0, 1).reshape(kv_heads, rows, 1)
        np.exp(scores, out=scores)
        summed = np.add.reduce(scores, axis=0).reshape(kv_heads, run.samples, -1, BLOCK)
        lanes[run.slots] = summed.swapaxes(0, 1)
        parts = self._scratch.take("parts", (count, kv_heads, rows, head))
        np.matmul(scores, values, out=parts)
        total = np.add.reduce(parts, axis=0).reshape(kv_heads, run.samples, -1, head)
        mixed[run.slots] = total.swapaxes(0, 1)


def over_lanes(combine: np.ufunc, x: Floats) -> Floats:
    """`x` combined over its last axis, in order: [..., 1].

    Transposed first: NumPy is slow over an axis that is as short as a block and last.
    """
    lanes = np.ascontiguousarray(x.reshape(-1, x.shape[-1]).T)
    combined: Floats = combine.reduce(lanes, axis=0)
    return combined.reshape(*x.shape[:-1], 1)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive new positions of one sequence, whose blocks are all its own."""

    blocks: Floats
    """[count, *block], with room for the new positions."""
    start: int
    """Position of the first; those before are in `blocks`."""
    length: int


class ChunkAttention:
    """New positions of several sequences, one after the other in the rows of a forward pass."""

    def __init__(self, chunks: Sequence[Chunk], scratch: Scratch) -> None:
        self._parts: list[_Part] = []
        self._scratch = scratch
        row = 0
        for chunk in chunks:
            self._parts.append(_part(chunk, row))
            row += chunk.length

    def __call__(self, layer: int, q: Floats, k: Floats, v: Floats, out: Floats) -> None:
        for part in self._parts:
            rows = part.rows
            keys, values = part.keys[layer], part.values[layer]
            keys[part.block, :, :, part.offset] = k[rows]
            values[part.block, :, part.offset] = v[rows]
            out[rows] = self._attend(part, q[rows], keys, values)

    def _attend(self, part: _Part, q: Floats, keys: Floats, values: Floats) -> Floats:
        length, kv_heads, group, head = q.shape
        count, rows, take = len(keys), length * group, self._scratch.take
        together = np.ascontiguousarray(q.swapaxes(0, 1)).reshape(kv_heads, rows, head)
        p = np.matmul(together, keys, out=take("p", (count, kv_heads, rows, BLOCK)))
        unfolded = p.reshape(count, kv_heads, length, group, BLOCK)
        unfolded[part.complete :] += part.hidden[:, None, :, None]
        p -= over_lanes(np.maximum, np.maximum.reduce(p, axis=0))
        np.exp(p, out=p)
        mixed = np.matmul(p, values, out=take("mixed", (count, kv_heads, rows, head)))
        weight = over_lanes(np.add, np.add.reduce(p, axis=0))
        total: Floats = np.add.reduce(mixed, axis=0) / weight
        return total.reshape(kv_heads, length, group, head).swapaxes(0, 1)


@dataclass(frozen=True, slots=True)
class _Part:
    """What the layers need of a chunk."""

    rows: slice
    keys: list[Floats]
    values: list[Floats]
    block: Integers
    offset: Integers
    complete: int
    """Blocks that all of the chunk's positions see whole."""
    hidden: Floats
    """For the others, 0 where a position is seen, -inf where not: [blocks, length, BLOCK]."""


def _part(chunk: Chunk, row: int) -> _Part:
    positions = chunk.start + np.arange(chunk.length)
    end = chunk.start + chunk.length
    used = block_views.by_layer(chunk.blocks[: -(-end // BLOCK)])
    complete = chunk.start // BLOCK
    block, offset = np.divmod(positions, BLOCK)
    others = np.arange(complete * BLOCK, used.shape[2] * BLOCK).reshape(-1, 1, BLOCK)
    hidden = np.where(others > positions[:, None], np.float32(-np.inf), np.float32(0))
    return _Part(
        slice(row, row + chunk.length),
        block_views.keys(used),
        block_views.values(used),
        block,
        offset,
        complete,
        hidden,
    )


class Scratch:
    """Memory that is taken again and again, by name; what it held before is lost."""

    def __init__(self) -> None:
        self._held: dict[str, Floats] = {}

    def take(self, name: str, shape: tuple[int, ...]) -> Floats:
        """A contiguous array of `shape`, its content arbitrary but finite or -inf."""
        size = int(np.prod(shape))
        held = self._held.get(name)
        if held is None or held.size < size:
            # A quarter more than asked for: the next taker wants a little more.
            held = self._held[name] = np.zeros(size + size // 4, np.float32)
        return held[:size].reshape(shape)
