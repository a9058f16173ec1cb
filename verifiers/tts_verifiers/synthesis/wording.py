r"""Wording: an assistant's turn and a conversation, byte for byte as the verifier will read them.

The turn's forced parts are those that the verifier puts in a model's mouth (`genprm.profiles`), so
that what is trained is what is asked.
"""

from __future__ import annotations

from collections.abc import Sequence

from tts_verifiers.genprm.profiles import (
    ANALYZE,
    ANALYZED,
    BRACE,
    CARD,
    CLOSE,
    NO,
    OUTPUT,
    VERIFY,
    YES,
    Profile,
)

Message = dict[str, str]
"""`role` and `content`."""


def turn(number: int, analysis: str, code: str, *, right: bool) -> str:
    r"""The critique of paragraph `number` (from 1).

    `code` is what follows the opening fence: a block, the fence that closes it, its output, and
    whatever is said after that.
    """
    analyzed = f"{ANALYZE.format(number=number)}{analysis.strip()}\n{ANALYZED}"
    verified = f"{VERIFY}{code.strip()}\n</verify>\n"
    return f"{analyzed}{verified}{OUTPUT}{BRACE}{YES if right else NO}{CLOSE}"


def conversation(
    problem: str, steps: Sequence[str], critiques: Sequence[str], profile: Profile = CARD
) -> list[Message]:
    """System, then for each step that has a critique the user's turn and the assistant's."""
    messages: list[Message] = []
    if profile.system is not None:
        messages.append({"role": "system", "content": profile.system})
    for index, (step, critique) in enumerate(zip(steps, critiques, strict=False)):
        text = step.strip()
        content = profile.first.format(problem=problem, step=text) if index == 0 else text
        messages.append({"role": "user", "content": content})
        messages.append({"role": "assistant", "content": critique})
    return messages
