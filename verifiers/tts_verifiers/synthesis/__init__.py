"""Training data for generative verifiers: labels from rollouts, rationales from a teacher.

Zhao et al. 2025 (GenPRM), sec. 3.2 and 3.3: `rollouts` estimates how often each prefix of a
solution is completed to the right answer, `progress` turns the estimates into labels, a `Teacher`
writes a critique of each step and runs its code, `consensus` keeps the solutions about which labels
and teacher agree, and `dataset` writes them as conversations.
"""

from tts_verifiers.synthesis.consensus import Fate as Fate
from tts_verifiers.synthesis.dataset import synthesize as synthesize
from tts_verifiers.synthesis.journal import Journal as Journal
from tts_verifiers.synthesis.labelling import label as label
from tts_verifiers.synthesis.progress import Rule as Rule
from tts_verifiers.synthesis.progress import Schedule as Schedule
from tts_verifiers.synthesis.rationale import FunctionTeacher as FunctionTeacher
from tts_verifiers.synthesis.rationale import Passage as Passage
from tts_verifiers.synthesis.rationale import Rationale as Rationale
from tts_verifiers.synthesis.rationale import Teacher as Teacher
from tts_verifiers.synthesis.reasoner import ReasoningTeacher as ReasoningTeacher
from tts_verifiers.synthesis.rollouts import Completer as Completer
from tts_verifiers.synthesis.rollouts import as_steps as as_steps
from tts_verifiers.synthesis.solutions import read_labelled as read_labelled
from tts_verifiers.synthesis.solutions import read_solutions as read_solutions
from tts_verifiers.synthesis.wording import conversation as conversation
