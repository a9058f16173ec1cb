"""Stops: which tokens end a sample, asked of all samples at once.

A stop string can only come to its end inside a token that holds its last byte, so that text is
looked at for these tokens alone, and then no more of it than the string is long. All of it is
bytes: a character that is split over tokens needs no care.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.uint8]

STOP, EOS, LOOK = 1, 2, 4
"""Flags of a token: it ends a sample; it ends an answer; a stop string may end in it."""


class Stops:
    """The flags of all tokens, for each combination of stops that requests come with."""

    def __init__(self, pieces: Sequence[bytes], vocabulary: int, eos_ids: Sequence[int]) -> None:
        """`pieces`: what each token adds to the text, in UTF-8."""
        self._pieces = pieces
        self._vocabulary = vocabulary
        self._eos_ids = list(eos_ids)
        self.flags = lru_cache(maxsize=256)(self._flags)
        """Flags of each token for a request's stop ids and stop strings: [vocabulary]."""

    def found(self, tokens: Sequence[int], stops: Sequence[bytes]) -> bool:
        """Whether one of `stops` ends in the last of `tokens`."""
        text = self._pieces[tokens[-1]]
        reach = max(map(len, stops)) - 1 + len(text)
        for token in reversed(tokens[:-1]):
            if len(text) >= reach:
                break
            text = self._pieces[token] + text
        last = len(self._pieces[tokens[-1]])
        return any(stop in text[-(len(stop) - 1 + last) :] for stop in stops)

    def _flags(self, stop_ids: tuple[int, ...], stops: tuple[bytes, ...]) -> Flags:
        flags = np.zeros(self._vocabulary, np.uint8)
        ends = {stop[-1] for stop in stops}
        for id, piece in enumerate(self._pieces if ends else ()):
            if not ends.isdisjoint(piece):
                flags[id] |= LOOK
        flags[[id for id in stop_ids if 0 <= id < self._vocabulary]] |= STOP
        flags[self._eos_ids] |= EOS
        return flags
