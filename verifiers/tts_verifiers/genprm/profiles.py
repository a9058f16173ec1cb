r"""Profiles: the exact strings of GenPRM's conversations, as data (Zhao et al. 2025, code release).

The authors' material spells the conversation in several incompatible ways. Each is a named profile
here, none is "the" format: a checkpoint is asked in the spelling it is to be measured in. All use
exactly one begin-of-sentence token; prompts go to the engine as token ids, so that none is added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tts.errors import unknown

SYSTEM: Final = (
    "You are a math teacher. Your task is to review and critique the paragraphs in solution"
    " step by step."
)
SYSTEM_DIRECT: Final = (
    "You are a math teacher. Your task is to review and critique the paragraphs in solution"
    " directly. Output your judgement in the format of `\\boxed{Yes}` if the paragraph is correct,"
    " or `\\boxed{No}` if the paragraph is incorrect."
)
ANALYZE: Final = "<analyze>\nLet's analyze the Paragraph {number} step by step: "
"""Opens a reasoned turn; `number` counts paragraphs from 1."""
ANALYZED: Final = "</analyze>\n"
VERIFY: Final = "<verify>\nLet's use python code to find any potential error:\n```python\n"
VERIFIED: Final = "</verify>\n"
FENCE: Final = "\n```\n"
"""Ends a block of code."""
OUTPUT_TAG: Final = "<output>\n"
OUTPUT: Final = "<output>\n**Judgement**: $\\boxed"
"""Forces a verdict. The brace is a piece of its own: it was sampled when the model was trained."""
BRACE: Final = "{"
YES: Final = "Yes"
NO: Final = "No"
CLOSE: Final = "}$\n</output>\n"
"""Ends the turn after the verdict."""
UNEXECUTED: Final = "[Code Output]\n\n```\n"
"""Opens the output of code. Without execution the model goes on from here and imagines it."""


@dataclass(frozen=True, slots=True)
class Markup:
    """How a chat template spells turns, special tokens spelled out."""

    begin: str
    system: str
    """With `{text}`."""
    user_open: str
    user_close: str
    assistant_open: str
    assistant_close: str


DEEPSEEK: Final = Markup(
    begin="<｜begin▁of▁sentence｜>",  # noqa: RUF001
    system="{text}",
    user_open="<｜User｜>",  # noqa: RUF001
    user_close="",
    assistant_open="<｜Assistant｜>",  # noqa: RUF001
    assistant_close="<｜end▁of▁sentence｜>",  # noqa: RUF001
)
"""DeepSeek-R1-Distill, which the released GenPRM models are tuned from."""

CHATML: Final = Markup(
    begin="",
    system="<|im_start|>system\n{text}<|im_end|>\n",
    user_open="<|im_start|>user\n",
    user_close="<|im_end|>\n",
    assistant_open="<|im_start|>assistant\n",
    assistant_close="<|im_end|>\n",
)


@dataclass(frozen=True, slots=True)
class Profile:
    """One spelling of the conversation."""

    name: str
    markup: Markup
    first: str
    """The first user turn, from `{problem}` and `{step}`; later turns are the step alone."""
    header: bool = True
    """Whether the turn being written stands after the assistant's header, as earlier turns do.
    Without, the conversation for one step is not a prefix of the one for the next."""
    system: str | None = SYSTEM
    system_direct: str | None = SYSTEM_DIRECT
    """In its place where a verdict is asked for without reasoning."""


PAPER: Final = Profile("paper", DEEPSEEK, "{problem}\n{step}", header=False)
"""The ProcessBench evaluation of the `main` branch (`prm_evaluate.py`, `util.py`): no assistant
header before `<analyze>`."""

CARD: Final = Profile("card", DEEPSEEK, "Question: {problem}\n\n{step}")
"""The model card, and the conversations that the models were trained on."""

LATER: Final = Profile("later", DEEPSEEK, "{problem}\n{step}")
"""The evaluation of the authors' later branch (`zj_dev`, `processbench.py`)."""

CRITIC: Final = Profile("critic", DEEPSEEK, "{problem}{step}")
"""Critique and refinement in the later branch (`critique_refine.py`): no separator."""

NANO: Final = Profile("nano", CHATML, "{problem}\n\n{step}", system=None, system_direct=None)
"""The nano GenPRM: ChatML, no system prompt."""

PROFILES: Final = {profile.name: profile for profile in (PAPER, CARD, LATER, CRITIC, NANO)}


def profile(name: str) -> Profile:
    """The profile called `name`.

    Raises:
        ConfigError: there is none; the message lists those that there are.
    """
    if name not in PROFILES:
        raise unknown("prompt profile", name, PROFILES)
    return PROFILES[name]
