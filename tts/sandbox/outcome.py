"""What became of one snippet: a value, never an exception."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Status(enum.Enum):
    """How a snippet ended."""

    OK = "ok"  # ran to its end, or called exit() for success
    ERROR = "error"  # raised; `error` says what
    TIMEOUT = "timeout"  # did not end before its deadline
    KILLED = "killed"  # its process ended by a signal or without last words; `error` says how
    CRASHED = "crashed"  # the sandbox failed it, twice; says nothing about the snippet


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one snippet. Text is the snippet's own and may be anything but too long."""

    status: Status
    stdout: str = ""
    stderr: str = ""
    error: str | None = None  # "Type: message", as the last line of a traceback
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    truncated: bool = False  # output went past `output_bytes` and its tail was dropped
    peak_bytes: int = 0  # resident, what it shares with the image included
    cached: bool = False  # nothing ran: the times are those of the run that did
    exposed: tuple[str, ...] = ()  # what the snippet could have reached, below the strict tier

    @property
    def ok(self) -> bool:
        """Whether it ran to its end."""
        return self.status is Status.OK
