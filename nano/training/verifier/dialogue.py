r"""The verifier's conversation, as the pieces in which it is written: forced, sampled or quoted.

ChatML without a system turn. The first user turn is `{problem}\n\n{step}`, later ones are the step
alone. An assistant turn is, byte for byte,

    <analyze>\nLet's analyze the Paragraph {t} step by step: {analysis}\n</analyze>\n
    <verify>\nLet's use python code to find any potential error:\n```python\n{code}\n```\n
    [Code Output]\n\n```\n{output}\n```\n</verify>\n
    <output>\n**Judgement**: $\boxed{Yes}$\n</output>\n<|im_end|>\n

(without the line breaks of this page). Without code the second and third lines are missing, and
without an analysis the first one as well.
"""

from __future__ import annotations

from typing import Final

USER_OPEN: Final = "<|im_start|>user\n"
USER_CLOSE: Final = "<|im_end|>\n<|im_start|>assistant\n"
ANALYZE: Final = "<analyze>\nLet's analyze the Paragraph {number} step by step: "
ANALYZED: Final = "\n</analyze>\n"
VERIFY: Final = "<verify>\nLet's use python code to find any potential error:\n```python\n"
FENCE: Final = "\n```\n"
CODE_OUTPUT: Final = "[Code Output]\n\n```\n"
VERIFIED: Final = "</verify>\n"
OUTPUT_TAG: Final = "<output>\n"
VERDICT: Final = "**Judgement**: $\\boxed{"
CLOSE: Final = "}$\n</output>\n<|im_end|>\n"
YES: Final = "Yes"
NO: Final = "No"


def asked(problem: str, step: str, number: int) -> str:
    """The user's turn about paragraph `number` (from 1), and the assistant's header."""
    content = f"{problem}\n\n{step}" if number == 1 else step
    return f"{USER_OPEN}{content}{USER_CLOSE}"


def word(right: bool) -> str:
    """The verdict."""
    return YES if right else NO
