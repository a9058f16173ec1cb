"""Chance: the number that decides a token, from its sample's seed and its place in the sample.

And from nothing else: no generator has a state that another request could advance.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Seeds = npt.NDArray[np.uint64]
Doubles = npt.NDArray[np.float64]


def chances(seeds: Seeds, steps: npt.NDArray[np.int64]) -> Doubles:
    """Numbers in [0, 1), by splitmix64 (Steele et al. 2014) of seed and step: [rows]."""
    mixed = _mix(seeds) + steps.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    uniform: Doubles = (_mix(mixed) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return uniform


def _mix(x: Seeds) -> Seeds:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
