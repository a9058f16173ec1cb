"""Resource limits of a child, the backstop behind the deadline that the zygote enforces.

All but two are imposed on the zygote itself, which needs little, and inherited by its children.
"""

from __future__ import annotations

import math
import resource
import sys

_SLACK_BYTES = 64 * 1024
STACK_BYTES = 8 << 20
OPEN_FILES = 32


def impose(memory_bytes: int, output_bytes: int, mapped_bytes: int) -> None:
    """Limit this process and its children for good: `memory_bytes` on top of what is mapped now."""
    for name, value in (
        ("RLIMIT_AS", mapped_bytes + memory_bytes),
        ("RLIMIT_FSIZE", output_bytes + _SLACK_BYTES),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_NOFILE", OPEN_FILES),
        ("RLIMIT_MEMLOCK", 0),
        ("RLIMIT_MSGQUEUE", 0),
        ("RLIMIT_SIGPENDING", 64),
        ("RLIMIT_RTPRIO", 0),
        ("RLIMIT_STACK", STACK_BYTES),
    ):
        if hasattr(resource, name):  # macOS lacks some
            _lower(getattr(resource, name), value)


def longest_processor_seconds() -> int:
    """The most processor time that this process can still grant itself or a child."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def impose_last(seconds: float, longest: int) -> None:
    """What the zygote itself could not live with: no new processes, little processor time.

    The former is one more lock behind the filter, and the only one where there is no filter; it
    does not bind root. The latter is more than the wall time, which is what should end a snippet,
    but at most `longest`, of `longest_processor_seconds`.
    """
    most = min(math.ceil(seconds) + 1, longest)
    _set(resource.RLIMIT_CPU, most)
    _set(resource.RLIMIT_NPROC, 0)


def _lower(which: int, value: int) -> None:
    """Set both limits to `value` unless the hard one is lower already."""
    hard = resource.getrlimit(which)[1]
    if hard == resource.RLIM_INFINITY or value < hard:
        _set(which, value)


def _set(which: int, value: int) -> None:
    """OSError or ValueError when Linux refuses. Other systems do for reasons of their own."""
    try:
        resource.setrlimit(which, (value, value))
    except (OSError, ValueError):
        if sys.platform == "linux":
            raise
