r"""The strings through which GenPRM's rationales see their code run, byte for byte.

As in the authors' `code_executor.py` and `genprm_inference.py`: the last fenced block runs, its
output comes back stripped, stdout printed before an exception is lost, bare expressions print
nothing. The authors neither truncate nor survive a killed process; what is said then is ours.
Reference: Zhao et al., "GenPRM: Scaling Test-Time Compute of Process Reward Models via Generative
Reasoning", arXiv 2504.00891.
"""

from __future__ import annotations

from typing import Final

from .outcome import Outcome, Status

NO_CODE: Final = "Code format error: No code found."
TIMED_OUT: Final = "Code execute time out: Code execution timed out"
ERROR: Final = "Code execute Error: {error}"
CODE_OUTPUT: Final = "[Code Output]\n\n```\n{code_output}\n```\n"
TRUNCATED: Final = "\n... (output truncated)"

_FENCE: Final = "```"
_OPENING: Final = "```python"


def last_block(text: str) -> str | None:
    r"""The code of the last fenced Python block in `text`, or None.

    The last match of the authors' "```python\s*(.*?)\s*```", found in linear time: that expression
    takes quadratic time over a run of spaces that no fence ends.
    """
    code = None
    at = text.find(_OPENING)
    while at >= 0:
        start = at + len(_OPENING)
        end = text.find(_FENCE, start)
        if end < 0:
            break
        code = text[start:end].strip()
        at = text.find(_OPENING, end + len(_FENCE))
    return code


def code_output(outcome: Outcome | None) -> str:
    """What stands between the fences of `CODE_OUTPUT`; None means that there was no code."""
    if outcome is None:
        return NO_CODE
    if outcome.status is Status.OK:
        return outcome.stdout.strip() + (TRUNCATED if outcome.truncated else "")
    if outcome.status is Status.TIMEOUT:
        return TIMED_OUT
    if outcome.status is Status.ERROR:
        return ERROR.format(error=outcome.error)
    return ERROR.format(error=f"RuntimeError: {outcome.error}")


def render(outcome: Outcome | None) -> str:
    """The whole insert that follows a code block in the assistant's turn."""
    return CODE_OUTPUT.format(code_output=code_output(outcome))
