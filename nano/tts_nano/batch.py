"""Batch: the samples being decoded, one slot each, and the keys and values that are theirs alone.

Slots 0 to `rows` are in use, without gaps: who leaves gives the slot to the last one. Samples that
joined early stand in front, so that those with the most blocks do, and attention can stop reading
a block's number at the last slot that has come so far.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np

from tts_nano import blocks
from tts_nano.architecture import Architecture
from tts_nano.arrays import Flags, Floats, Integers, Records
from tts_nano.attention import BatchAttention, Run, Scratch
from tts_nano.blocks import BLOCK
from tts_nano.sampling import Doubles

_RECORD = np.dtype(
    [
        ("token", np.int64),  # the next to be computed
        ("position", np.int64),  # its position; so many are computed already
        ("shared", np.int64),  # of these, in the run's blocks
        ("count", np.int64),  # tokens drawn
        ("limit", np.int64),  # most tokens to draw
        ("seed", np.uint64),
        ("temperature", np.float32),
        ("top_p", np.float32),
        ("top_k", np.int64),
    ]
)

Owner = TypeVar("Owner")


class Batch(Generic[Owner]):
    """At most `slots` samples, each with an owner that the caller knows it by."""

    def __init__(self, architecture: Architecture, slots: int, vocabulary: int) -> None:
        self._architecture = architecture
        self.slots = slots
        self.rows = 0
        """Slots in use."""
        self.owners: list[Owner] = []
        self.records: Records = np.zeros(slots, _RECORD)
        self.flags: Flags = np.zeros((slots, vocabulary), np.uint8)
        """See `stops`."""
        self.tokens: Integers = np.zeros((slots, 64), np.int64)
        """Drawn so far."""
        self.logprobs = np.zeros((slots, 64), np.float64)
        """Theirs."""
        self._runs: list[Run | None] = []
        self._in_use: list[Run] = []
        self._scratch = Scratch()
        self._allocate(4)

    @property
    def free(self) -> int:
        """Slots not in use."""
        return self.slots - self.rows

    def join(self, owners: list[Owner], own: Floats, run: Run | None) -> slice:
        """Slots for samples that begin alike; the caller fills their records and flags.

        `own` [blocks, *block] comes after the run's blocks; it is copied for each of them.
        """
        taken = slice(self.rows, self.rows + len(owners))
        self._reserve(len(own))
        self._blocks[:, :, : len(own), taken] = blocks.by_layer(own)[:, :, :, None]
        self._runs += [run] * len(owners)
        self.owners += owners
        self.rows = taken.stop
        if run is not None:
            run.samples += len(owners)
            self._group()
        self.records[taken] = np.zeros((), _RECORD)
        self.records["shared"][taken] = 0 if run is None else run.count * BLOCK
        return taken

    def place(self, taken: slice, position: int) -> None:
        """Say that `taken` have all tokens before `position`, which come to be read."""
        self.records["position"][taken] = position
        own = position - int(self.records["shared"][taken.start])
        self._reserve(own // BLOCK + 1)
        hidden = self._hidden[:, taken]
        hidden[:] = -np.inf
        hidden[: own // BLOCK] = 0.0
        hidden[own // BLOCK, :, : own % BLOCK] = 0.0

    def leave(self, slot: int) -> Run | None:
        """Free a slot; the run of its sample if nobody else uses it now."""
        last = self.rows - 1
        run = self._runs[slot]
        if slot != last:
            for array in (self.records, self.flags, self.tokens, self.logprobs):
                array[slot] = array[last]
            record = self.records[last]
            filled = int(record["position"] - record["shared"]) // BLOCK + 1
            self._blocks[:, :, :filled, slot] = self._blocks[:, :, :filled, last]
            self._hidden[:, slot] = self._hidden[:, last]
            self._runs[slot], self.owners[slot] = self._runs[last], self.owners[last]
        self._runs.pop()
        self.owners.pop()
        self.rows = last
        if run is not None:
            run.samples -= 1
        self._group()
        return run if run is not None and run.samples == 0 else None

    def block_of(self, slot: int) -> Callable[[int], Floats]:
        """Gives the blocks of the sample in `slot` by their numbers."""
        run = self._runs[slot]
        first = 0 if run is None else run.count

        def block(number: int) -> Floats:
            found: Floats
            if run is not None and number < first:
                found = run.blocks[:, :, number]
            else:
                found = self._blocks[:, :, number - first, slot]
            return found

        return block

    def attention(self) -> BatchAttention:
        """For the next token of every sample, which counts as computed from here on."""
        records = self.records[: self.rows]
        own = records["position"] - records["shared"]
        self._reserve(int(own.max()) // BLOCK + 1)
        self._hidden[own // BLOCK, np.arange(self.rows), own % BLOCK] = 0.0
        records["position"] += 1
        return BatchAttention(
            self._keys, self._values, self._hidden, own, self._in_use, self._scratch
        )

    def keep(self, drawn: Integers, logprobs: Doubles, rows: Integers) -> None:
        """Add a drawn token to the samples in the slots `rows`, and compute it next."""
        records = self.records
        count = records["count"][rows]
        if int(count.max()) >= self.tokens.shape[1]:
            self.tokens = np.concatenate((self.tokens, np.zeros_like(self.tokens)), axis=1)
            self.logprobs = np.concatenate((self.logprobs, np.zeros_like(self.logprobs)), axis=1)
        self.tokens[rows, count] = drawn
        self.logprobs[rows, count] = logprobs
        records["token"][rows] = drawn
        records["count"][rows] = count + 1

    def _group(self) -> None:
        """Tell the runs where their samples are."""
        slots: dict[Run, list[int]] = {}
        for slot, run in enumerate(self._runs):
            if run is not None:
                slots.setdefault(run, []).append(slot)
        self._in_use = list(slots)
        for run, listed in slots.items():
            together = listed[-1] - listed[0] == len(listed) - 1
            run.slots = slice(listed[0], listed[-1] + 1) if together else np.array(listed)

    def _reserve(self, count: int) -> None:
        """Have room for `count` blocks a sample."""
        filled = len(self._hidden)
        if count > filled:
            blocks_before, hidden_before = self._blocks, self._hidden
            self._allocate(max(count, 2 * filled))
            self._blocks[:, :, :filled, : self.rows] = blocks_before[:, :, :, : self.rows]
            self._hidden[:filled] = hidden_before

    def _allocate(self, count: int) -> None:
        # Zeros that were never touched take no memory, only addresses.
        layers, two, *block = blocks.shape(self._architecture)
        shape = (layers, two, count, self.slots, *block)
        self._blocks: Floats = np.zeros(shape, np.float32)
        self._hidden: Floats = np.full((count, self.slots, BLOCK), -np.inf, np.float32)
        self._keys, self._values = blocks.keys(self._blocks), blocks.values(self._blocks)
