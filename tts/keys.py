"""Keys: the place of what is sampled next, from which its seed comes. No timing decides it."""

from __future__ import annotations

from typing import Final

from tts.seeds import node_seed
from tts.tree import Node
from tts.types import Key

_REVISIONS: Final = 10**9
"""Where the indices of revisions begin: no prefix has so many samples."""


class Keys:
    """The places that are taken in the tree of one search, written there or still being sampled."""

    def __init__(self) -> None:
        self._sampled: dict[Key, int] = {}  # children begun, by parent
        self._revised: dict[Key, int] = {}  # revisions begun, by what they revise

    def next(self, parent: Node) -> Key:
        """Of one more child of `parent`.

        Raises:
            ValueError: it is finished.
        """
        if parent.finished:
            raise ValueError(f"node {parent.key} is finished and cannot be extended")
        index = self._sampled.get(parent.key, 0)
        self._sampled[parent.key] = index + 1
        return (*parent.key, index)

    def revision(self, parent: Node, revised: Node) -> Key:
        """Of one more revision, which comes from what it revises, not from who else was faster."""
        number = self._revised.get(revised.key, 0)
        self._revised[revised.key] = number + 1
        name = node_seed(0, "revision", (*revised.key, number)) % _REVISIONS
        return (*parent.key, _REVISIONS + name)

    def go_on(self, node: Node) -> None:
        """`node` was written on to its end: a later sample after it gets another key."""
        self._sampled[node.key] = 1
