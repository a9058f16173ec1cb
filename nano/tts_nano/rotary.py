"""Rotary positions (Su et al. 2021), as a multiplication of complex numbers.

Hugging Face weights pair number i of a head with number i + head/2. Stored pair by pair instead
(see `model`), a head is head/2 complex numbers, and turning it is one multiplication.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tts_nano.architecture import Architecture, Llama3Scaling

Turns = npt.NDArray[np.complex64]


def frequencies(architecture: Architecture) -> npt.NDArray[np.float64]:
    """Radians a position, for each pair of a head: [head / 2]."""
    exponents = np.arange(0, architecture.head, 2) / architecture.head
    plain: npt.NDArray[np.float64] = architecture.theta**-exponents
    if architecture.scaling is None:
        return plain
    return _stretched(plain, architecture.scaling)


def turns(architecture: Architecture, positions: int) -> Turns:
    """The factor of each position: [positions, head / 2], of modulus 1."""
    # Angles in float32, as in transformers, so that far positions agree with it.
    rates = frequencies(architecture).astype(np.float32)
    angles = np.arange(positions, dtype=np.float32)[:, None] * rates
    factors: Turns = (np.cos(angles) + 1j * np.sin(angles)).astype(np.complex64)
    return factors


def pairwise(head: int) -> npt.NDArray[np.int64]:
    """Where the numbers of a head go so that those which turn together are neighbours: [head]."""
    return np.arange(head).reshape(2, head // 2).T.ravel()


def _stretched(plain: npt.NDArray[np.float64], scaling: Llama3Scaling) -> npt.NDArray[np.float64]:
    """Llama 3.1: slow turns are slowed by `factor`, fast ones kept, those between blended."""
    laps = scaling.original_context * plain / (2 * np.pi)  # over the original context
    low, high = scaling.low_frequency_factor, scaling.high_frequency_factor
    kept = np.clip((laps - low) / (high - low), 0.0, 1.0)
    return kept * plain + (1 - kept) * plain / scaling.factor
