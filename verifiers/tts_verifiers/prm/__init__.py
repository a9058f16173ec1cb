"""Discriminative process reward models: one number a step, read from one position, no reasoning."""

from tts_verifiers.prm.boundary import BoundaryPRM as BoundaryPRM
from tts_verifiers.prm.heads import HeadPRM as HeadPRM
from tts_verifiers.prm.heads import StepScores as StepScores
from tts_verifiers.prm.spelling import MATH_SHEPHERD as MATH_SHEPHERD
from tts_verifiers.prm.spelling import RLHFLOW as RLHFLOW
