r"""Spelling: what PRMs that answer in their vocabulary are asked, as data.

Two families were trained to put a label after each step: RLHFlow's as the assistant of a chat
(Xiong et al. 2024), Math-Shepherd's at a tag in running text (Wang et al. 2024). P(right) is the
softmax over the two labels at the position that predicts the label of the step.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from tts.backends.base import Tokenizer

Ids = tuple[int, ...]

_SPECIAL: Final = re.compile(r"<(?=[|｜][^<>\n]{1,64}[|｜]>|/?s>|extra_\d+>)")  # noqa: RUF001
_NUMBERED: Final = re.compile(r"Step \d+:")


def defused(text: str) -> str:
    """`text` with a blank in each special token that it spells out, so that it is none."""
    return _SPECIAL.sub("< ", text).replace("\0", "\ufffd").encode(errors="replace").decode()


class Spelling(Protocol):
    """How a PRM is asked for the label of a solution's last step."""

    def prompt(self, tokenizer: Tokenizer, problem: str, steps: Sequence[str]) -> Ids:
        """Ids up to the position at which the label of the last step is due."""
        ...

    def labels(self, tokenizer: Tokenizer) -> tuple[int, int]:
        """The ids that stand for right and wrong."""
        ...


@dataclass(frozen=True, slots=True)
class LabelledTurns:
    """Each step is a user turn, each label an assistant turn; earlier steps count as right."""

    first: str
    """The first user turn, from `{problem}` and `{step}`."""
    right: str = "+"
    wrong: str = "-"

    def prompt(self, tokenizer: Tokenizer, problem: str, steps: Sequence[str]) -> Ids:
        messages: list[dict[str, str]] = []
        for index, step in enumerate(steps):
            if index:
                messages.append({"role": "assistant", "content": self.right})
            content = self.first.format(problem=problem, step=step) if index == 0 else step
            messages.append({"role": "user", "content": defused(content)})
        return tokenizer.chat(messages)

    def labels(self, tokenizer: Tokenizer) -> tuple[int, int]:
        return tokenizer.encode(self.right)[-1], tokenizer.encode(self.wrong)[-1]


@dataclass(frozen=True, slots=True)
class TaggedText:
    """Numbered steps in running text, a tag at the end of each."""

    begin: str = "<s>"
    tag: str = "ки"
    right_and_wrong: str = "+ -"
    """Both labels in one, since the tokenizer spells them with the blank before them."""

    def prompt(self, tokenizer: Tokenizer, problem: str, steps: Sequence[str]) -> Ids:
        numbered = (
            step if _NUMBERED.match(step) else f"Step {number}: {step}"
            for number, step in enumerate(steps, 1)
        )
        text = "\n".join(f"{defused(step)} {self.tag}" for step in numbered)
        return tokenizer.encode(f"{self.begin}{defused(problem)} {text}")

    def labels(self, tokenizer: Tokenizer) -> tuple[int, int]:
        both = tokenizer.encode(self.right_and_wrong)
        return both[0], both[-1]


RLHFLOW: Final = LabelledTurns("{problem} {step}")
"""RLHFlow/Llama3.1-8B-PRM-Deepseek-Data and -Mistral-Data, as in search and learn."""

RLHFLOW_PROCESSBENCH: Final = LabelledTurns("{problem}\n\n{step}")
"""The same models, as in their ProcessBench evaluation."""

MATH_SHEPHERD: Final = TaggedText()
"""peiyi9979/math-shepherd-mistral-7b-prm: the tag is id 12902, the labels are 648 and 387."""
