"""Which problems a model may train on, decided by what a problem is and not by how it was drawn.

A problem's templates (its expression with the numbers left out; for problems in words also the
wording) are hashed. One template in eight is held out, and with it every problem that has it:
`train` never sees it, `dev` and `test` draw nothing else. Templates of one or two operations are
too few for that, so there the numbers belong to the template. Held-out problems are divided
between `dev` and `test` by a hash of the whole prompt. The three splits are therefore disjoint
whatever the seeds, the levels and the order of drawing.

Held out are whole problems: the same single operations, and the shorter expressions that a long
one reduces to, occur in training.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, Literal, TypeAlias

Split: TypeAlias = Literal["train", "dev", "test"]

HELD_OUT: Final = 8
"""One template in this many is held out."""
NUMBERS_COUNT_BELOW: Final = 3
"""Problems with fewer operations than this are held out by their numbers."""

_NUMBER: Final = re.compile(r"[0-9]+")


def split_of(prompt: str, texts: tuple[str, ...], operations: int) -> Split:
    """The split that a problem belongs to; `texts` are what its templates are made from."""
    held_out = any(
        _hash(text if operations < NUMBERS_COUNT_BELOW else _NUMBER.sub("n", text)) % HELD_OUT == 0
        for text in texts
    )
    if not held_out:
        return "train"
    return "dev" if _hash(prompt) % 2 else "test"


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
