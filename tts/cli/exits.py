"""Exit codes: what a shell learns of how a command ended."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from tts.errors import ConfigError, Overlong, TTSError

if TYPE_CHECKING:
    from tts.result import Result


class Exit(IntEnum):
    """Of every command. Scripts rely on the numbers: they do not change."""

    ANSWERED = 0
    """Done; where a problem was solved, there is an answer."""
    BUG = 1
    """Something that nobody thought of."""
    USAGE = 2
    """What was typed cannot be used."""
    NO_ANSWER = 3
    """The search ended without an answer (`tts demo`: without the right one)."""
    ENGINE = 4
    """An engine or a plug-in cannot be reached, or failed on the way."""
    INTERRUPTED = 130
    """Ctrl-C, as shells number it: 128 + SIGINT; SIGTERM too, if the best until then is shown."""


def of_error(error: TTSError) -> Exit:
    """The caller's mistakes are USAGE, a problem too long for the model included."""
    return Exit.USAGE if isinstance(error, (ConfigError, Overlong)) else Exit.ENGINE


def of_result(result: Result) -> Exit:
    """An interrupted or broken search says so even if it has an answer to show."""
    from tts.events import StopReason

    match result.stop_reason:
        case StopReason.CANCELLED:
            return Exit.INTERRUPTED
        case StopReason.FAILED:
            return Exit.ENGINE
        case _:
            return Exit.NO_ANSWER if result.answer is None else Exit.ANSWERED
