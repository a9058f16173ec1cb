"""The generative verifier: analyse, verify with code, execute, judge, step by step."""

from tts_verifiers.genprm.ballot import Outvoted as Outvoted
from tts_verifiers.genprm.ballot import Voting as Voting
from tts_verifiers.genprm.code import CodeRunner as CodeRunner
from tts_verifiers.genprm.effort import NANO as NANO
from tts_verifiers.genprm.effort import Effort as Effort
from tts_verifiers.genprm.effort import Mode as Mode
from tts_verifiers.genprm.profiles import PROFILES as PROFILES
from tts_verifiers.genprm.profiles import Profile as Profile
from tts_verifiers.genprm.verifier import GenPRM as GenPRM
