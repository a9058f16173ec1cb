"""Search strategies: one paper, one file."""

from tts_strategies.ab_mcts import ABMCTS as ABMCTS
from tts_strategies.adaptive_consistency import AdaptiveConsistency as AdaptiveConsistency
from tts_strategies.beam import Beam as Beam
from tts_strategies.best_of_n import BestOfN as BestOfN
from tts_strategies.deepconf import DeepConf as DeepConf
from tts_strategies.dvts import DVTS as DVTS
from tts_strategies.eager_beam import EagerBeam as EagerBeam
from tts_strategies.early_stopping import EarlyStopping as EarlyStopping
from tts_strategies.ets import ETS as ETS
from tts_strategies.lookahead import Lookahead as Lookahead
from tts_strategies.mcts import MCTS as MCTS
from tts_strategies.particles import Particles as Particles
from tts_strategies.rebase import Rebase as Rebase
from tts_strategies.refine import Refine as Refine
from tts_strategies.rstar import RStar as RStar
from tts_strategies.value_of_information import ValueOfInformation as ValueOfInformation

__all__ = [
    "ABMCTS",
    "DVTS",
    "ETS",
    "MCTS",
    "AdaptiveConsistency",
    "Beam",
    "BestOfN",
    "DeepConf",
    "EagerBeam",
    "EarlyStopping",
    "Lookahead",
    "Particles",
    "RStar",
    "Rebase",
    "Refine",
    "ValueOfInformation",
]
