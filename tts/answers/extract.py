r"""Extraction: find the final answer that a response states, or nothing.

Only the response is read, never the question, and only an explicit answer counts: the last
`\boxed{...}`, else the last "The answer is ..." or "Final answer: ...". There is no fallback to
the last number of the text: a response that was cut in the middle of "compute 3^2" has not
answered "2". Who wants that reading all the same calls `extract_answer_or_last_number`.

Every scan is linear in the text: the patterns are possessive and each one starts at a literal.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Final

LONGEST_ANSWER: Final = 2_000
"""Characters. Whatever is longer is not an answer but a solution, or an attack."""

_BRACES: Final = re.compile(r"\\(?:boxed|fbox)\s*+\{|\\.|[{}]", re.DOTALL)

_BOX: Final = re.compile(r"[$\s]*+\\(?:boxed|fbox)\s*+\{")

_PHRASE: Final = re.compile(
    r"""
    (?: \b the \s++ (?: (?: final | correct ) \s++ )?+ answer
      | \b final \s++ answer
      | ^ [ \t>*_\#]*+ answer (?= [\s*_]*+ : )
    )
    [\s*_]*+
    (?: is \b [\s*_]*+ :?+ | [:=] )
    [\s*_]*+
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)

_SENTENCE_END: Final = re.compile(r"\.(?=[\s*_\"']|$)")

_NUMBER: Final = re.compile(
    r"(?<![\w.])-?+(?:[1-9]\d{0,2}(?:,\d{3})++(?!\d)|\d++)(?:\.\d++)?+(?:/\d++)?+"
)

_DELIMITERS: Final = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"))


def extract_answer(response: str) -> str | None:
    r"""The final answer that `response` states, or None when it states none.

    The last box with balanced braces wins over any phrase; in a box around boxes the inner one
    is read. Dollar signs and the like around the answer are taken off, nothing else is changed.
    An empty answer, or one of more than `LONGEST_ANSWER` characters, is None.

    >>> extract_answer(r"The final answer is $\boxed{42}$. I hope it is correct.")
    '42'
    """
    boxed = _last_box(response)
    return _bare(boxed if boxed is not None else _last_phrase(response))


def extract_answer_or_last_number(response: str) -> str | None:
    """Like `extract_answer`, but a response without an answer answers its last number.

    For base models and few-shot prompts whose format has no marked answer. It makes truncated
    responses vote: do not select with it where responses can be cut.
    """
    answer = extract_answer(response)
    if answer is not None:
        return answer
    last = _last(_NUMBER, response)
    return None if last is None else _bare(last[0])


def _last_box(text: str) -> str | None:
    """The content of the last balanced box. One pass: a million open braces stay linear."""
    open_braces: list[tuple[int, bool]] = []
    start, end = -1, -1
    for token in _BRACES.finditer(text):
        mark = token[0]
        if mark == "}":
            if open_braces:
                opened, is_box = open_braces.pop()
                if is_box and opened > start:
                    start, end = opened, token.start()
        elif mark[-1] == "{" and mark != r"\{":
            open_braces.append((token.end(), mark != "{"))
    return None if start < 0 else text[start:end]


def _last_phrase(text: str) -> str | None:
    """What follows the last phrase that announces an answer, up to the end of its sentence."""
    last = _last(_PHRASE, text)
    if last is None:
        return None
    rest = text[last.end() : last.end() + LONGEST_ANSWER + 1]
    for opening, closing in _DELIMITERS:
        if rest.startswith(opening):
            close = rest.find(closing, len(opening))
            sentence = _sentence(rest[close + len(closing) :]) if close >= 0 else ""
            # "$2$ apples" answers 2, but "$x = 2$ or $x = 3$" answers more than its first part.
            if close >= 0 and opening not in sentence:
                return rest[len(opening) : close]
            break
    if _BOX.match(rest):  # one that was never closed: there is no knowing what was meant
        return None
    return _sentence(rest).strip(" \t*_`\"'")


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    matches = deque(pattern.finditer(text), maxlen=1)
    return matches[0] if matches else None


def _sentence(text: str) -> str:
    line = text.split("\n", 1)[0]
    end = _SENTENCE_END.search(line)
    return line if end is None else line[: end.start()]


def _bare(answer: str | None) -> str | None:
    """`answer` without the delimiters and the full stop around it; None if nothing is left."""
    if answer is None or len(answer) > LONGEST_ANSWER:
        return None
    bare = answer.strip()
    if bare.endswith("."):
        bare = bare[:-1].rstrip()
    for opening, closing in _DELIMITERS:
        inner = bare[len(opening) : -len(closing)]
        whole = len(bare) >= len(opening) + len(closing)
        if whole and bare.startswith(opening) and bare.endswith(closing) and opening not in inner:
            bare = inner.strip()
            break
    return bare or None
