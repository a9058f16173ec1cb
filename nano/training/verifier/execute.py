"""The arithmetic that the teacher's code consists of, run exactly as Python runs it, and no more.

Training and evaluation run millions of blocks, so that a process for each is out of the question.
Blocks of digits, the name `x`, `+ - * /`, comparisons, commas and parentheses inside at most one
assignment and one `print` are compiled and run here without any name but `print` and `Fraction`;
powers are refused, so that time and memory are bounded by the length. The product runs the same
code in its sandbox, and says the same of it.
"""

from __future__ import annotations

import re
import warnings
from typing import Final

MAX_CHARACTERS: Final = 1000
REFUSED: Final = "Code execute Error: PermissionError: only arithmetic is run here"

IMPORT: Final = "from fractions import Fraction\n"
_ALLOWED: Final = re.compile(
    r"(?:x = (?:[0-9]{1,9}|Fraction\([0-9]{1,9}\))\n)?"
    r"print\((?:True|False|[-+*/()=, 0-9x]*)\)"
)


def run(code: str) -> str:
    """What a block prints, stripped, or the authors' line for its exception."""
    body = code.removeprefix(IMPORT)
    if len(code) > MAX_CHARACTERS or "**" in code or _ALLOWED.fullmatch(body) is None:
        return REFUSED
    printed: list[str] = []
    names = {
        "__builtins__": {"__import__": __import__} if body != code else {},
        "print": lambda *values: printed.append(" ".join(map(str, values))),
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(code, "<string>", "exec"), names)  # arithmetic only, see above
    except Exception as error:  # whatever the code does wrong is its output
        return f"Code execute Error: {type(error).__name__}: {error}"
    return "\n".join(printed).strip()


def approves(output: str) -> bool:
    """Whether every comparison that was printed holds."""
    words = output.split()
    return bool(words) and all(word == "True" for word in words)
