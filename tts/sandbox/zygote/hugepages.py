"""Gather the zygote's memory in huge pages: a fork then copies few page-table entries, not many.

The kernel splits such a page when a child first writes to it and copies four kilobytes of it, as
with small ones, so children share as much as before. Measured on the sympy image: a quarter off
the fixed cost of a snippet. A wish, not a need: kernels before 6.1 refuse.
"""

from __future__ import annotations

from collections.abc import Iterable

from . import kernel

_COLLAPSE = 25  # MADV_COLLAPSE
_HUGE = 2 << 20


def candidates() -> list[int]:
    """Where a huge page of this process's own memory could begin. Needs to read /proc."""
    try:
        with open("/proc/self/maps", encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError:
        return []
    found: list[int] = []
    for line in lines:
        span, rights, _, _, _, *name = line.split(maxsplit=5)
        if rights.startswith("rw") and name in ([], ["[heap]"]):
            first, last = (int(address, 16) for address in span.split("-"))
            found += range(-(-first // _HUGE) * _HUGE, last - _HUGE + 1, _HUGE)
    return found


def gather(addresses: Iterable[int]) -> int:
    """Collapse what can be; returns the number of huge pages made."""
    made = 0
    for address in addresses:
        try:
            kernel.syscall("madvise", address, _HUGE, _COLLAPSE)
        except OSError:
            continue  # nothing there yet, or not possible here
        made += 1
    return made
