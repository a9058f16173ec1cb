"""Search strategies: one paper, one file."""

from tts_strategies.beam import Beam as Beam
from tts_strategies.best_of_n import BestOfN as BestOfN
from tts_strategies.dvts import DVTS as DVTS

__all__ = ["DVTS", "Beam", "BestOfN"]
