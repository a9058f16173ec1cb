"""Layout: how the keys and values of a model's layers lie in memory, in as few tensors as can be.

All layers of most models have heads of one size, and then there is one plane. Whatever is copied
is then copied for all layers at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

Tensor = Any
"""torch ships types that say too little; shapes stand where tensors are used."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Keys or values of one size: `count` of them, a token's being [heads, size]."""

    count: int
    heads: int
    size: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a layer's keys, or its values, are."""

    plane: int
    number: int


@dataclass(frozen=True)
class Layout:
    """Keys and values of all layers."""

    planes: tuple[Plane, ...]
    keys: tuple[Place, ...]
    """Of each layer, in the order of layers."""
    values: tuple[Place, ...]
    dtype: Any
    device: Any

    @classmethod
    def of(cls, layers: Sequence[tuple[Tensor, Tensor]]) -> Layout:
        """That of layers which gave these keys and values, each [1, heads, tokens, size]."""
        counts: dict[tuple[int, int], int] = {}
        places: list[Place] = []
        for tensor in (each for layer in layers for each in layer):
            shape = (int(tensor.shape[1]), int(tensor.shape[3]))
            counts.setdefault(shape, 0)
            places.append(Place(list(counts).index(shape), counts[shape]))
            counts[shape] += 1
        planes = tuple(Plane(count, *shape) for shape, count in counts.items())
        first = layers[0][0]
        return cls(planes, tuple(places[::2]), tuple(places[1::2]), first.dtype, first.device)

    @property
    def token_bytes(self) -> int:
        """What a token takes."""
        numbers = sum(plane.count * plane.heads * plane.size for plane in self.planes)
        return numbers * int(torch.empty((), dtype=self.dtype).element_size())

    def tensors(self, before: int | None, tokens: int) -> list[Tensor]:
        """Zeros for each plane: [count, before, heads, tokens, size]; without `before` if None."""
        rows = () if before is None else (before,)
        return [
            torch.zeros(
                (plane.count, *rows, plane.heads, tokens, plane.size),
                dtype=self.dtype,
                device=self.device,
            )
            for plane in self.planes
        ]
