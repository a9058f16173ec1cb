"""Consensus: which solutions labels and teacher agree about; only these are worth learning from.

GenPRM, sec. 3.3: labels from rollouts are noisy, and so is a teacher; a solution is kept if they
agree on every step that the teacher speaks of. The paper discards about half. A teacher that ends
with the first wrong step says nothing of those after it, and nothing is kept of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from tts_verifiers.synthesis.rationale import Rationale


class Fate(Enum):
    """What becomes of a solution."""

    KEPT = "kept"
    UNSOLVED = "unsolved"
    """No rollout solved the problem: its labels say nothing."""
    TOO_LONG = "too_long"
    """It does not fit a model's context window."""
    REFUSED = "refused"
    """The teacher gave no critique that can be used; the decision says why."""
    LABELS_STRICTER = "labels_stricter"
    """The labels call a step wrong that the teacher calls right."""
    TEACHER_STRICTER = "teacher_stricter"
    """The teacher calls a step wrong that the labels call right."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A solution's fate, and what decided it."""

    fate: Fate
    detail: str = ""


def decide(labels: Sequence[bool], rationale: Rationale) -> Decision:
    """Keep or drop a solution with these labels and this critique."""
    if rationale.refused:
        return Decision(Fate.REFUSED, rationale.refused)
    passages = rationale.passages
    ended = rationale.first_wrong == len(passages) - 1
    if not passages or len(passages) > len(labels) or (len(passages) < len(labels) and not ended):
        spoken = f"it speaks of {len(passages)} of {len(labels)} steps"
        return Decision(Fate.REFUSED, spoken)
    for number, (label, passage) in enumerate(zip(labels, passages, strict=False), 1):
        if label and not passage.right:
            return Decision(Fate.TEACHER_STRICTER, f"step {number}")
        if passage.right and not label:
            return Decision(Fate.LABELS_STRICTER, f"step {number}")
    return Decision(Fate.KEPT)
