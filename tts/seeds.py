"""Seeds from the path: the same node gets the same seed at any timing, on any machine."""

from __future__ import annotations

from hashlib import blake2b

from tts.types import PLAIN, Key, Manner


def node_seed(run_seed: int, problem_id: str, key: Key, manner: Manner = PLAIN) -> int:
    """Seed in [0, 2^63) of the sample that becomes the node `key`, asked for in a `manner`."""
    place = f"{run_seed}/{problem_id}/{','.join(map(str, key))}"
    way = (manner.temperature, manner.instruction, manner.draft)
    return _digest(place if way == (None, None, None) else f"{place}/{way!r}")


def vote_seed(seed: int, vote: int) -> int:
    """Seed in [0, 2^63) of one vote (0-based) on a node whose own seed is `seed`."""
    return _digest(f"{seed}#{vote}")


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") >> 1
