"""Refusal: what a response that is no answer says, in whatever shape servers say it, as an error.

Those of requests that the server did not begin are marked: they cost nothing, and may be repeated.
"""

from __future__ import annotations

import json
from typing import Any, Final

from tts.errors import BackendError, BadReply, Overlong, Unavailable

BUSY: Final = frozenset({429, 503})
"""Too much to do: the request was not begun."""
_OVERLONG: Final = (
    "context length",
    "context window",
    "context_length",
    "maximum allowed length",
    "max_model_len",
)


class Unbegun(BackendError):
    """Marks the errors of requests that the server did not begin: they cost nothing."""


class Away(Unavailable, Unbegun):
    """The server could not be reached, or took no more requests."""


class TooLong(Overlong, Unbegun):
    """The server says that the prompt does not fit."""


class Refused(BadReply, Unbegun):
    """The server says that the request cannot be served."""


def failure_of(name: str, route: str, status: int, reason: str, text: str) -> BackendError:
    """The error that the server `name` means.

    Args:
        name: its address, and its model if that is known.
        route: that was asked.
        status: of the response, not 200.
        reason: beside the status.
        text: the response's body, or its beginning.
    """
    told = message_of(text) or reason or "no reason given"
    if status in {400, 413, 422} and any(word in told for word in _OVERLONG):
        return TooLong(f"{name}: {route} answered {status}: {told}")
    if status in BUSY:
        return Away(f"{name}: too busy for more ({status}): {told}")
    if status in {401, 403}:
        return Refused(f"{name}: the server refuses the key ({status}): {told}")
    if status < 500:
        return Refused(f"{name}: {route} answered {status}: {told}")
    if status in {502, 504}:
        return Unavailable(f"{name}: {told} ({status})")
    return BadReply(f"{name}: {route} answered {status}: {told}")


def message_of(text: str) -> str:
    """What an error's body says, in one line, in whichever of the servers' shapes it comes."""
    try:
        body: Any = json.loads(text)
    except ValueError:
        body = text
    for key in ("error", "message", "detail"):
        if isinstance(body, dict) and key in body:
            body = body[key]
    if isinstance(body, dict | list):
        body = json.dumps(body)
    return " ".join(str(body).split())[:300]
