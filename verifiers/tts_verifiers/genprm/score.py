r"""Score: P(Yes) / (P(Yes) + P(No)) at the verdict, from raw log-probabilities.

Raw means before temperature and truncation. The authors' numbers came from an engine that reports
log-probabilities after both, where any P outside about [0.15, 0.85] becomes exactly 0 or 1 and the
average over votes (Eq. 6) turns into a count; raw ones are what an engine reports today.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

LEAST_MASS: Final = 0.1
"""Below this P(Yes) + P(No) the model was not about to give a verdict: it abstains."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """P(Yes) among the two verdicts, or why there is none."""

    score: float | None
    reason: str = ""


def verdict(yes: float, no: float) -> Verdict:
    """From the log-probabilities of the two verdicts, nats."""
    if math.isnan(yes) or math.isnan(no):
        return Verdict(None, "the engine gave no probability for Yes and No")
    mass = math.exp(yes) + math.exp(no)
    if mass < LEAST_MASS:
        return Verdict(None, f"neither Yes nor No follows the critique (mass {mass:.3g})")
    return Verdict(
        math.exp(yes - max(yes, no)) / sum(math.exp(p - max(yes, no)) for p in (yes, no))
    )
