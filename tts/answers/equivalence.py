r"""Equivalence without algebra: a normal form for answers, and the verdicts it can give exactly.

Three verdicts, because "not shown to be equal" is not "different". What this module leaves open
(`quick_verdict` gives None) goes to math-verify, which a host process never imports: see
`checker.py`.

What is decided here, and how:

- **A decimal is the number it writes.** `0.5` is `1/2`; `0.333333` is not `1/3`, nor `6.2832`
  `2\pi`. Tolerances make equality intransitive, and math-verify's (six decimals, absolute) makes
  all small numbers equal.
- **A percent sign is a unit**, dropped as other units are: `50\%` is `50` and never `0.5`.
  math-verify equates it with both, so that one vote for `50\%` would merge two answers.
- **Commas** separate thousands only where they are well formed: `1,000` is a number, `1,00` and
  `(1,2)` are not.
- **Words are words**: `\text{even}` is `Even`. Algebra reads `no` as n times o and finds it equal
  to `on`; here, two bare words with the same letters in another order are UNKNOWN.
"""

from __future__ import annotations

import re
from enum import Enum
from fractions import Fraction
from typing import Final

LONGEST_COMPARED: Final = 2_000
"""Characters of a normal form. A longer one is equal to itself; with others it is UNKNOWN."""

LONGEST_NUMBER: Final = 400
"""Characters. Longer digit strings are left to the workers, whose time and memory are limited."""

LARGEST_EXPONENT: Final = 400
"""Of ten, in `1e400`. Nothing in this module computes a power of anything a response says."""


class Verdict(Enum):
    """Whether two answers are the same."""

    EQUAL = "equal"
    UNEQUAL = "unequal"
    UNKNOWN = "unknown"
    """Not understood, or not decided in time: counts as different, and is reported."""


_CHARACTERS: Final = str.maketrans(
    {
        "\N{MINUS SIGN}": "-",
        "\N{EN DASH}": "-",
        "\N{NO-BREAK SPACE}": " ",
        "\N{NARROW NO-BREAK SPACE}": r"\,",
        "\N{THIN SPACE}": r"\,",
        "\N{GREEK SMALL LETTER PI}": r"\pi ",
        "\N{INFINITY}": r"\infty ",
        "\N{MULTIPLICATION SIGN}": r"\times ",
        "\N{DEGREE SIGN}": r"^\circ ",
        "\N{LESS-THAN OR EQUAL TO}": r"\le ",
        "\N{GREATER-THAN OR EQUAL TO}": r"\ge ",
    }
)

_THOUSANDS: Final = re.compile(r"(?<=\d)(?:\\[,!;:]|\\!,\\!|\{,\})(?=\d{3}(?!\d))")

_NOTATION: Final = re.compile(
    r"""
      (?P<keep>  \\\\ )
    | (?P<frac>  \\[dtc]frac (?![A-Za-z]) )
    | (?P<unit>  \\%  )
    | (?P<drop>  \\(?: left | right ) (?![A-Za-z]) \.?+
              | \\(?: displaystyle | limits ) (?![A-Za-z])
              | \\[$!()\[\]] | \$ )
    | (?P<space> \\(?: quad | qquad ) (?![A-Za-z]) | \\[,;:\s] | ~ | \s++ )
    """,
    re.VERBOSE,
)
_REPLACEMENT: Final = {"frac": r"\frac", "unit": "%", "drop": "", "space": " "}

_LOOSE_SPACE: Final = re.compile(r"(?<![A-Za-z0-9]) | (?![A-Za-z0-9])")
_PERCENT: Final = re.compile(r"%(?=$|[\s,;)\]}])")

_UNSIGNED: Final = r"(?:[1-9]\d{0,2}(?:,\d{3})++(?:\.\d*+)?+|\d++(?:\.\d*+)?+|\.\d++)"
_SIGNED: Final = rf"[+-]?+{_UNSIGNED}"
_DECIMAL: Final = re.compile(rf"({_SIGNED})(?:[eE]([+-]?+\d{{1,4}}))?+")
_RATIO: Final = re.compile(rf"({_SIGNED})/({_UNSIGNED})")
_FRAC: Final = re.compile(rf"([+-]?+)\\frac(?:\{{({_SIGNED})\}}\{{({_SIGNED})\}}|(\d)(\d))")

_TEXT: Final = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)\{([^{}]*+)\}")
_WORD: Final = re.compile(r"\(?+([A-Za-z]++(?: [A-Za-z]++)*+)\)?+")
_HYPHENATED: Final = re.compile(r"\(?+([A-Za-z]++(?:[ -][A-Za-z]++)*+)\)?+")
_BASED: Final = re.compile(r"([0-9A-Fa-f]++)_(?:(\d)|\{(\d{1,2})\})")


def normalise(answer: str) -> str:
    r"""The form of `answer` in which differences of notation are gone. Idempotent.

    Math delimiters, dollar signs, `\left`, spacing commands, percent signs behind a quantity, and
    punctuation at the end vanish; `\dfrac` is `\frac`. Space stays only between two letters or
    digits. An empty form means that there is no answer. An answer of more than `LONGEST_COMPARED`
    characters is only stripped.
    """
    form, before = answer.strip(), ""
    # What is removed can bring together what is removed too. Bounding the length bounds the rounds.
    while form != before and len(answer) <= LONGEST_COMPARED:
        form, before = _once(form), form
    return form


def quick_verdict(left: str, right: str) -> Verdict | None:
    """The verdict on two normal forms where notation alone decides; None where algebra must.

    Exact, in time linear in the forms, and symmetric.
    """
    if left == right:
        return Verdict.EQUAL if left else Verdict.UNKNOWN
    if not left or not right:
        return Verdict.UNEQUAL
    if max(len(left), len(right)) > LONGEST_COMPARED or "%" in left or "%" in right:
        return Verdict.UNKNOWN
    one, other = _number(left), _number(right)
    if one is not None and other is not None:
        return _verdict(one == other)
    one_word, other_word = _word(left), _word(right)
    if one_word is not None and other_word is not None:
        return _compare_words(one_word, other_word)
    if (one is not None and other_word is not None) or (other is not None and one_word is not None):
        return Verdict.UNEQUAL
    one_based, other_based = _BASED.fullmatch(left), _BASED.fullmatch(right)
    if one_based is not None and other_based is not None:
        return _verdict(_digits_and_base(one_based) == _digits_and_base(other_based))
    return None


def is_plain(form: str) -> bool:
    """Whether a normal form is a rational number or a word: nothing that could take long."""
    return _number(form) is not None or _word(form) is not None


def _verdict(equal: bool) -> Verdict:
    return Verdict.EQUAL if equal else Verdict.UNEQUAL


def _once(answer: str) -> str:
    form = _THOUSANDS.sub("", answer.translate(_CHARACTERS))
    form = _NOTATION.sub(lambda m: _REPLACEMENT.get(m.lastgroup or "", m[0]), form)
    form = _PERCENT.sub("", _LOOSE_SPACE.sub("", form))
    return form.strip().rstrip(" .,;")


def _number(form: str) -> Fraction | None:
    """The rational number that `form` plainly is."""
    if len(form) > LONGEST_NUMBER:
        return None
    if plain := _DECIMAL.fullmatch(form):
        exponent = int(plain[2] or 0)
        if abs(exponent) > LARGEST_EXPONENT:
            return None
        return _decimal(plain[1]) * Fraction(10) ** exponent
    if ratio := _RATIO.fullmatch(form):
        return _divide(ratio[1], ratio[2])
    if frac := _FRAC.fullmatch(form):
        value = _divide(frac[2] or frac[4], frac[3] or frac[5])
        return -value if value is not None and frac[1] == "-" else value
    return None


def _decimal(digits: str) -> Fraction:
    plain = digits.replace(",", "")
    return Fraction(plain + "0" if plain.endswith(".") else plain)


def _divide(above: str, below: str) -> Fraction | None:
    divisor = _decimal(below)
    return _decimal(above) / divisor if divisor else None


def _word(form: str) -> tuple[str, bool] | None:
    r"""The word or words that `form` is, in one case, and whether it says so by `\text`."""
    text = _TEXT.fullmatch(form)
    # A bare "x-y" is a difference, not a word.
    word = _HYPHENATED.fullmatch(text[1].strip()) if text else _WORD.fullmatch(form)
    return None if word is None else (word[1].casefold(), text is not None)


def _compare_words(one: tuple[str, bool], other: tuple[str, bool]) -> Verdict:
    if one[0] == other[0]:
        return Verdict.EQUAL
    is_product = not one[1] and not other[1] and sorted(one[0]) == sorted(other[0])
    return Verdict.UNKNOWN if is_product else Verdict.UNEQUAL


def _digits_and_base(based: re.Match[str]) -> tuple[str, str]:
    return based[1].upper().lstrip("0"), based[2] or based[3]
