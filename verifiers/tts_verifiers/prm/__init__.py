"""Discriminative reward models: one number a step or solution, read at one position."""

from tts_verifiers.prm.boundary import BoundaryPRM as BoundaryPRM
from tts_verifiers.prm.heads import HeadPRM as HeadPRM
from tts_verifiers.prm.heads import StepScores as StepScores
from tts_verifiers.prm.outcome import OutcomeRM as OutcomeRM
from tts_verifiers.prm.spelling import MATH_SHEPHERD as MATH_SHEPHERD
from tts_verifiers.prm.spelling import RLHFLOW as RLHFLOW
