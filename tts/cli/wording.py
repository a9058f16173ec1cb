"""Wording: numbers, times and outcomes as people read them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tts.budget.budget import Budget
    from tts.result import Result

_PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def count(number: float) -> str:
    """`1,234`."""
    return f"{number:,.0f}"


def scaled(number: float) -> str:
    """Three digits and a prefix: `1.23 T`, `45.6 k`, `789`."""
    for scale, prefix in _PREFIXES:
        if number >= scale:
            return f"{number / scale:.3g} {prefix}"
    return f"{number:.3g}"


def gibibytes(number: float) -> str:
    """`14.19 GiB`; `12.3 MiB` for what is small."""
    gibi = number / (1 << 30)
    return f"{gibi:,.2f} GiB" if gibi >= 0.1 else f"{number / (1 << 20):,.2f} MiB"


def seconds(time: float) -> str:
    """`0.42 s`, `12.3 s`, `4 min 5 s`."""
    if time < 10:
        return f"{time:.2f} s"
    if time < 120:
        return f"{time:.1f} s"
    minutes, rest = divmod(round(time), 60)
    return f"{minutes} min {rest} s"


def usd(amount: float) -> str:
    """`$0.0123`: three digits that say something, from a cent up two decimals or more."""
    digits = 2 if amount >= 1 or not amount else 2 - math.floor(math.log10(amount))
    return f"${amount:,.{digits}f}"


def percent(share: float) -> str:
    """`71%`; what is not quite all is never called so."""
    return "99%" if 0.99 < share < 1 else f"{share:.0%}"


def confidence(share: float, selector: str) -> str:
    """`71% of the vote`; `right with probability 0.71` where that is what the selector says."""
    from tts.select import PROBABLE

    if selector == PROBABLE:
        return f"right with probability {share:.2f}"
    return f"{percent(share)} of the vote"


def printable(text: str) -> str:
    """`text` without what would command a terminal: models write whatever they like."""
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def limits(budget: Budget) -> str:
    """`8,000 tokens and 30 s`; `no limit`."""
    parts = [
        f"{scaled(limit)}FLOPs"
        if name == "flops" and limit >= 1e3
        else seconds(limit)
        if name == "seconds"
        else usd(limit)
        if name == "usd"
        else f"{count(limit)} {name}"
        for name, limit in budget.limits().items()
    ]
    return " and ".join(parts) or "no limit"


def stop_reason(result: Result, budget: Budget) -> str:
    """Why the search ended, in one sentence."""
    from tts.events import StopReason

    match result.stop_reason:
        case StopReason.DONE:
            return "The strategy had done all that it wanted."
        case StopReason.BUDGET:
            return f"The budget was used up: nothing more fitted into {limits(budget)}."
        case StopReason.DEADLINE:
            return f"The time was up ({seconds(budget.seconds or result.spend.seconds)})."
        case StopReason.CANCELLED:
            return "You stopped it; this is the best until then."
        case StopReason.FAILED:
            return "An engine failed on the way; this is the best until then."
