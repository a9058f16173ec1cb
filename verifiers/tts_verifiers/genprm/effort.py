"""Effort: how much a GenPRM thinks about a step, and in which way. Knobs, checked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from tts.backends.base import Sampling
from tts.errors import ConfigError
from tts_verifiers.genprm.ballot import Outvoted, Voting
from tts_verifiers.genprm.profiles import ANALYZE, VERIFY
from tts_verifiers.genprm.sequential import Decisive


class Mode(Enum):
    """What comes before a verdict (GenPRM, sec. 4.4, tab. 5)."""

    DIRECT = "direct"
    """Nothing."""
    COT = "cot"
    """An analysis."""
    UNEXECUTED = "unexecuted"
    """An analysis, then code whose output the model imagines."""
    CODE = "code"
    """An analysis, then code that is run: the paper's method."""
    CODE_ONLY = "code-only"
    """Code that is run, and no analysis. What was written is kept when its rounds are used up."""
    ADAPTIVE = "adaptive"
    """The first of direct, analysis, code that is sure (the authors' later branch). The analysis is
    written once; code goes on from it."""


GENPRM_SAMPLING: Final = Sampling(temperature=0.6, top_p=0.95, top_k=20)
"""What the authors use everywhere."""

LEAST_STEP_TOKENS: Final = 64


@dataclass(frozen=True, slots=True)
class Effort:
    """The knobs of a generative verifier.

    Raises:
        ConfigError: a knob is out of its range.
    """

    mode: Mode = Mode.COT
    votes: int = 1  # K
    voting: Voting = Voting.STEP
    outvoted: Outvoted = Outvoted.ADOPT
    tokens: int = 2048  # of one turn, with its forced text and the output of its code
    rounds: int = 3  # of code; the paper's `time_limit`
    step_tokens: int = 2048  # longest user turn; a longer step is not judged
    output_characters: int = 2000  # of code output that is told to the model
    tau: float = 0.1  # adaptive: a score is sure within tau of 0 or 1 (0.5 - tau off 0.5)
    decisive: Decisive = Decisive.NO  # when voting ends
    apart: bool = False  # a request for each vote, so that one can be cancelled by itself
    stop_at_wrong: bool = False  # judge no step after the first wrong one (ProcessBench)
    sampling: Sampling = GENPRM_SAMPLING

    def __post_init__(self) -> None:
        least = {"votes": 1, "tokens": 16, "rounds": 1, "output_characters": 1}
        for name, value in {**least, "step_tokens": LEAST_STEP_TOKENS}.items():
            if getattr(self, name) < value:
                raise ConfigError(f"{name}={getattr(self, name)} must be at least {value}")
        if self.decisive is not Decisive.NO and self.chains > 1:
            raise ConfigError(
                f"decisive={self.decisive.value} needs voting=step: each chain needs its own votes"
            )
        if not 0 <= self.tau <= 0.5:
            raise ConfigError(f"tau={self.tau} must be in [0, 0.5]")

    @property
    def runs_code(self) -> bool:
        """Whether code is executed."""
        return self.mode in {Mode.CODE, Mode.CODE_ONLY, Mode.ADAPTIVE}

    @property
    def analyzes(self) -> bool:
        """Whether a turn that gives reasons begins with an analysis."""
        return self.mode is not Mode.CODE_ONLY

    @property
    def asks_apart(self) -> bool:
        """Whether each vote has a request of its own."""
        return self.decisive is not Decisive.NO or self.apart

    def opening(self, number: int) -> str:
        """The forced beginning of such a turn on paragraph `number`."""
        return ANALYZE.format(number=number) if self.analyzes else VERIFY

    @property
    def chains(self) -> int:
        """Conversations about one path."""
        return self.votes if self.voting is Voting.CHAIN and self.mode is not Mode.DIRECT else 1

    def sure(self, score: float | None) -> bool:
        """Whether a score needs no second thoughts."""
        return score is not None and not self.tau < score < 1 - self.tau


NANO: Final = Effort(
    Mode.CODE, tokens=256, rounds=2, step_tokens=256, output_characters=200, stop_at_wrong=True
)
"""What the nano GenPRM was trained for, one vote a step."""
