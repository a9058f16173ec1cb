r"""The tokenizer of the nano models: a fixed list of phrases, and bytes for everything else.

Every fixed phrase of the formats is one token, every digit is one token and the same everywhere,
and any other text falls back to its UTF-8 bytes, so that every Unicode text comes back unchanged.
The phrases are cut out by a regular expression before the (mergeless, byte-level) model sees them,
the longest first. Where a token ends therefore does not depend on how a text was put together:
`Yes` after `\boxed{` is one token whether or not the brace came in the same string.

The vocabulary also serves the generative verifier: its conversation strings, judgements and the
usual code are phrases here although the policy never writes them.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Final

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from tts_nano.problems import words

END_OF_TEXT: Final = "<|endoftext|>"
TURN_START: Final = "<|im_start|>"
TURN_END: Final = "<|im_end|>"
"""Ends every answer: the end-of-sequence token."""

CHAT_TEMPLATE: Final = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

_CHAT: Final = ["system\n", "user\n", "assistant\n"]
_SOLUTIONS: Final = [
    "Evaluate ", "Solve ", "The expression is ", "The answer is \\boxed{", "}.", ", so ", "\n\n",
    " + ", " - ", " * ", " / ", " = ", " == ", ": ", ", ",
    "Add ", "Subtract ", "Subtract from ", "Divide by ", "Multiply by ",
]  # fmt: skip
_WORDS: Final = [
    *words.STARTS, words.FIND, words.AND, words.TWICE, words.DOUBLE,
    *(phrase.words for phrase in (*words.NOUNS, *words.BETWEEN_NUMBERS, *words.MOVES)),
]  # fmt: skip
_SYSTEM: Final = (
    "You are a math teacher. Your task is to review and critique the paragraphs in solution"
    " step by step."
)
_VERIFIER: Final = [
    _SYSTEM,
    "Question: ", "<analyze>\n", "</analyze>\n", "<verify>\n", "</verify>\n", "<output>\n",
    "</output>\n", "Let's analyze the Paragraph ", " step by step: ",
    "Let's use python code to find any potential error:\n", "```python\n", "\n```\n", "```\n",
    "[Code Output]\n\n```\n", "**Judgement**: $\\boxed", "\\boxed", "}$\n",
    "True", "False", "print(", "Error", "Traceback", "eval(", "abs(", "range(", "lambda x: ",
    "assert ", "import ", "from ", "for ", " in ", " if ", " else ", " and ", " or ", " not ",
    "def ", "return ", "all(", "any(", "    ", "# ", "fractions", "Fraction(", " ** ",
    " // ", " % ", " != ", " < ", " > ", " <= ", " >= ", "int(", "solve(", "sympy",
    "The paragraph ", "The step ", "The problem ", "The state ", "The rewritten ", "The claim ",
    "This ", "It ", "says ", "claims ", "takes ", "gives ", "becomes ", "computes ", "translates ",
    "rewrites ", "the problem", "the expression", "the equation", "the state", "the paragraph",
    "the step", "the result", "the answer", "the value", "before", "after", "first", "second",
    "is right", "is wrong", "is correct", "is not correct", "is ", "are ", "does not ",
    "should be ", "matches ", "does not match ", "must be ", "to ", "of ", "by ", "with ", "the ",
    "now ", "both ", "same", "other", "sides", "numbers", "operations", "operator", "adds ",
    "subtracts ", "multiplies ", "divides ", "moves ", "left", "right", "so far", "and so ",
    "because ", "which ", "Therefore", "However", "Paragraph ", "Step ", "step", "Check", "check",
]  # fmt: skip
_WHOLE_WORDS: Final = ("Yes", "No")


def phrases() -> list[str]:
    """Every phrase that is one token, in the order of their ids, without repetition."""
    listed = [*_CHAT, *_SOLUTIONS, *_WORDS, *_WHOLE_WORDS, *_VERIFIER]
    return list(dict.fromkeys(listed))


def build() -> Tokenizer:
    """The tokenizer; always the same."""
    specials = [END_OF_TEXT, TURN_START, TURN_END]
    bytes_first = sorted(pre_tokenizers.ByteLevel.alphabet())
    spelling = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    spelled = ["".join(part for part, _ in spelling.pre_tokenize_str(each)) for each in phrases()]
    vocabulary = dict.fromkeys([*specials, *bytes_first, *spelled])
    model = models.BPE(
        vocab={token: index for index, token in enumerate(vocabulary)},
        merges=[],
        ignore_merges=True,
    )
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(_pattern()), "isolated"), spelling]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(each, special=True) for each in specials])
    return tokenizer


def _pattern() -> str:
    longest_first = sorted(phrases(), key=len, reverse=True)
    alternatives = [
        rf"(?<![A-Za-z]){each}(?![A-Za-z])" if each in _WHOLE_WORDS else re.escape(each)
        for each in longest_first
    ]
    return "|".join([*alternatives, "[0-9]"])


def save(folder: Path) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    build().save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": TURN_END,
        "pad_token": END_OF_TEXT,
        "model_max_length": 2048,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


if __name__ == "__main__":
    save(Path(sys.argv[1]))
