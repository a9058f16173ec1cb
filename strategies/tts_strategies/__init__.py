"""Search strategies: one paper, one file."""

from tts_strategies.beam import Beam as Beam
from tts_strategies.best_of_n import BestOfN as BestOfN
from tts_strategies.dvts import DVTS as DVTS
from tts_strategies.mcts import MCTS as MCTS
from tts_strategies.particles import Particles as Particles
from tts_strategies.rebase import Rebase as Rebase
from tts_strategies.refine import Refine as Refine
from tts_strategies.value_of_information import ValueOfInformation as ValueOfInformation

__all__ = [
    "DVTS",
    "MCTS",
    "Beam",
    "BestOfN",
    "Particles",
    "Rebase",
    "Refine",
    "ValueOfInformation",
]
