"""Factory: discriminative PRMs by name."""

from __future__ import annotations

from tts.registry import open_backend
from tts.verifier import Paper, Reduction, cites
from tts_verifiers.prm.boundary import BoundaryPRM
from tts_verifiers.prm.spelling import MATH_SHEPHERD, RLHFLOW

XIONG = Paper(
    "An Implementation of Generative PRM",
    ("Wei Xiong", "Hanning Zhang", "Nan Jiang", "Tong Zhang"),
    2024,
    venue="GitHub",
    url="https://github.com/RLHFlow/RLHF-Reward-Modeling",
)
WANG = Paper(
    "Math-Shepherd: Verify and Reinforce LLMs Step-by-step without Human Annotations",
    ("Peiyi Wang", "Lei Li", "Zhihong Shao", "R. X. Xu", "Damai Dai", "others"),
    2024,
    arxiv="2312.08935",
    venue="ACL 2024",
)


@cites(XIONG)
def rlhflow(backend: str, reduction: Reduction = Reduction.LAST) -> BoundaryPRM:
    """RLHFlow's PRMs behind an engine; `backend` is its spec."""
    return BoundaryPRM(open_backend(backend), RLHFLOW, reduction=reduction)


@cites(WANG)
def math_shepherd(backend: str, reduction: Reduction = Reduction.MIN) -> BoundaryPRM:
    """Math-Shepherd behind an engine; `backend` is its spec."""
    return BoundaryPRM(open_backend(backend), MATH_SHEPHERD, reduction=reduction)
