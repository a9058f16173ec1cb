"""Slots: what the rows that are being decoded have of their own, one after the other, no gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tts.backends.transformers.layout import Layout, Tensor

_LEAST: Final = 128
"""Tokens that there is room for to begin with."""


class Slots:
    """Room for the keys and values of `most` rows; it grows with the longest."""

    def __init__(self, layout: Layout, most: int) -> None:
        self._layout = layout
        self._most = most
        self._width = _LEAST
        self.planes = layout.tensors(most, _LEAST)
        """[count, most, heads, tokens, size] each."""

    def widen(self, tokens: int) -> None:
        """See that a row can have so many."""
        if tokens <= self._width:
            return
        width = self._width
        while width < tokens:
            width *= 2
        larger = self._layout.tensors(self._most, width)
        for old, new in zip(self.planes, larger, strict=True):
            new[:, :, :, : self._width] = old
        self.planes, self._width = larger, width

    def row(self, slot: int) -> list[Tensor]:
        """A row's own: [count, heads, tokens, size] each, as views."""
        return [plane[:, slot] for plane in self.planes]

    def fill(self, slot: int, planes: Sequence[Tensor], tokens: int) -> None:
        """Begin a row with the first `tokens` of `planes`, [count, heads, tokens or more, size]."""
        self.widen(tokens + 1)
        for own, plane in zip(self.row(slot), planes, strict=True):
            own[:, :, :tokens] = plane[:, :, :tokens]

    def move(self, source: int, slot: int, tokens: int) -> None:
        """Give a row of `tokens` another slot."""
        for plane in self.planes:
            plane[:, slot, :, :tokens] = plane[:, source, :, :tokens]
