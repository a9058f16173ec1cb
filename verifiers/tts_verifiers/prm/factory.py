"""Factory: discriminative PRMs and outcome reward models by name."""

from __future__ import annotations

from tts.registry import open_backend
from tts.verifier import Paper, Reduction, cites
from tts_verifiers.prm.boundary import BoundaryPRM
from tts_verifiers.prm.heads import HeadPRM, qwen, qwen_outcome
from tts_verifiers.prm.heads import skywork as skywork_layout
from tts_verifiers.prm.opening import QWEN_PRM_7B, QWEN_RM, SKYWORK, open_head, sized
from tts_verifiers.prm.outcome import OutcomeRM
from tts_verifiers.prm.spelling import MATH_SHEPHERD, RLHFLOW, RLHFLOW_PROCESSBENCH

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


@cites(XIONG)
def prm_nano(backend: str = "nano:prm", reduction: Reduction = Reduction.MIN) -> BoundaryPRM:
    """The discriminative nano PRM, for comparison: it hardly sees a mistake."""
    return BoundaryPRM(open_backend(backend), RLHFLOW_PROCESSBENCH, reduction=reduction)


def prm_qwen_7b(
    backend: str = "",
    tokenizer: str = "",
    served: str = "",
    reduction: Reduction = Reduction.MIN,
    seconds: float = 600.0,
) -> HeadPRM:
    """Qwen2.5-Math-PRM-7B, from vLLM's pooling runner or transformers: `backend=KIND:WHERE`.

    `seconds` are the most for one request to a server.
    """
    opened = open_head(backend, QWEN_PRM_7B, tokenizer, served, seconds)
    return HeadPRM(opened, qwen, reduction=reduction)


def skywork(backend: str = "", reduction: Reduction = Reduction.MIN) -> HeadPRM:
    """Skywork-o1-Open-PRM (1.5B or 7B), from transformers: `backend=hf:FOLDER`."""
    return HeadPRM(open_head(backend, SKYWORK), skywork_layout, reduction=reduction)


def orm(
    backend: str = "",
    tokenizer: str = "",
    served: str = "",
    parameters: int = QWEN_RM.parameters,
    context_tokens: int = QWEN_RM.context_tokens,
    seconds: float = 600.0,
) -> OutcomeRM:
    """An outcome reward model of Qwen2.5-Math-RM's kind, which scores whole solutions only.

    `backend=KIND:WHERE` is vLLM, SGLang or transformers; a server's model is taken to have
    `parameters` and `context_tokens`, and one request to it takes `seconds` at most.
    """
    checkpoint = sized(QWEN_RM, parameters, context_tokens)
    opened = open_head(backend, checkpoint, tokenizer, served, seconds)
    return OutcomeRM(opened, qwen_outcome, solution_tokens=context_tokens)
