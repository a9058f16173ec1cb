"""Canonical: logits of a sequence computed alone and from its start, for draws that are in doubt.

Where BLAS lets the last bits of a row depend on the batch (see `linear`), a draw whose chance lies
within that noise of another token could fall either way. Such a draw, about one in ten thousand,
is decided by logits that are a function of the sequence alone, so that the same seed gives the
same tokens on every BLAS.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tts_nano import blocks
from tts_nano.arrays import Floats, Integers
from tts_nano.attention import Chunk, ChunkAttention, Scratch
from tts_nano.blocks import BLOCK
from tts_nano.model import Model
from tts_nano.sampling import Doubles

_AT_ONCE = 512  # rows of a forward pass; always cut at the same positions
_SAFETY = 4.0
_TRIED = 35  # tokens of the sequence on which noise is measured; odd, so that tiles remain


class Canonical:
    """Decides draws in doubt."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._scratch = Scratch()
        self.noise = 0.0 if model.exact else _SAFETY * self._measure()
        """Probabilities may be off by so much; 0 if they depend on their sequence alone."""

    def logits(self, tokens: Integers) -> Floats:
        """After `tokens`: [1, vocabulary], a view that the model's next call overwrites."""
        for hidden in self._read(tokens, _AT_ONCE):
            last = hidden[-1:]
        return self._model.logits(last)

    def _read(self, tokens: Integers, step: int) -> Iterator[Floats]:
        """Final hidden states of `tokens`, `step` at a time: [step, hidden]."""
        count = -(-len(tokens) // BLOCK)
        held = np.zeros((count, *blocks.shape(self._model.architecture)), np.float32)
        for start in range(0, len(tokens), step):
            piece = tokens[start : start + step]
            attention = ChunkAttention([Chunk(held, start, len(piece))], self._scratch)
            yield self._model.forward(piece, start + np.arange(len(piece)), attention)

    def _measure(self) -> float:
        """The largest difference between distributions for one sequence, read so or so.

        Of sums of probabilities, since it is those that a chance is compared with.
        """
        a = self._model.architecture
        tokens = np.random.default_rng(0).integers(0, a.vocabulary, min(_TRIED, a.context))
        found = [self._sums(tokens, step) for step in (len(tokens), 3, 16)]
        return float(np.ptp(found, axis=0).max())

    def _sums(self, tokens: Integers, step: int) -> Doubles:
        """Sums of probabilities after each of `tokens`, read `step` at a time: [tokens, ids]."""
        read = self._read(tokens, step)
        logits = np.concatenate([self._model.logits(hidden).astype(np.float64) for hidden in read])
        return np.cumsum(
            np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)), axis=1
        )
