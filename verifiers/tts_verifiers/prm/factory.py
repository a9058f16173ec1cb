"""Factory: discriminative PRMs by name."""

from __future__ import annotations

from tts.registry import open_backend
from tts.verifier import Reduction
from tts_verifiers.prm.boundary import BoundaryPRM
from tts_verifiers.prm.spelling import MATH_SHEPHERD, RLHFLOW


def rlhflow(backend: str, reduction: Reduction = Reduction.LAST) -> BoundaryPRM:
    """RLHFlow's PRMs behind an engine; `backend` is its spec."""
    return BoundaryPRM(open_backend(backend), RLHFLOW, reduction=reduction)


def math_shepherd(backend: str, reduction: Reduction = Reduction.MIN) -> BoundaryPRM:
    """Math-Shepherd behind an engine; `backend` is its spec."""
    return BoundaryPRM(open_backend(backend), MATH_SHEPHERD, reduction=reduction)
