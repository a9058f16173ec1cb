"""Seeds from the path: the same node gets the same seed at any timing, on any machine."""

from __future__ import annotations

from hashlib import blake2b

from tts.types import Key


def node_seed(run_seed: int, problem_id: str, key: Key) -> int:
    """Seed in [0, 2^63) of the sample that becomes the node `key`."""
    return _digest(f"{run_seed}/{problem_id}/{','.join(map(str, key))}")


def vote_seed(seed: int, vote: int) -> int:
    """Seed in [0, 2^63) of one vote (0-based) on a node whose own seed is `seed`."""
    return _digest(f"{seed}#{vote}")


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") >> 1
