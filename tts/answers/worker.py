r"""The worker: a process that compares answers with math-verify, and may be killed at any moment.

Run by path, as a program, by `workers.py`. It imports nothing of `tts`, so that it starts fast and
works from wherever the host's package lies. One JSON object per line, one comparison at a time:

    host    {"left": "\\frac{1}{2}", "right": "x"}
    worker  {"verdict": "equal" | "unequal" | "unknown", "retire": false}

The first line from the worker is `{"ready": true}`, or `{"error": "why not"}`. "retire" asks to be
replaced. The worker ends when its input does; on Linux, also when the host dies.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TextIO

# math-verify rounds decimals to 6 digits after the point and chops what is smaller than 10^-15, so
# that 6.6e-34 is 1.6e-19. Decimals are made exact before it sees them; this is for the rest.
DIGITS = 60


def load_comparer() -> Callable[[str, str], str]:
    """Import math-verify (some 0.4 s of CPU) and return a function that gives verdicts."""
    import logging

    logging.disable(logging.CRITICAL)
    import sympy
    from math_verify import LatexExtractionConfig, parse, verify
    from sympy.logic.boolalg import BooleanAtom

    @lru_cache(maxsize=256)
    def read(form: str) -> Any | None:
        """The expression that `form` writes, in exact numbers; None if it is not understood."""
        # Timeouts are off: they are SIGALRM's, and the host's deadline kills more surely.
        found = parse(
            f"${form}$",
            [LatexExtractionConfig()],
            fallback_mode="no_fallback",
            extraction_mode="first_match",
            parsing_timeout=None,  # type: ignore[arg-type, unused-ignore]
            raise_on_error=True,
        )
        if len(found) != 1 or not isinstance(found[0], (sympy.Basic, sympy.MatrixBase)):
            return None
        expression: Any = found[0]
        decimals = expression.atoms(sympy.Float)
        if decimals:
            # A product that was kept unevaluated is evaluated by this, hence "if".
            expression = expression.xreplace(
                {each: sympy.Rational(sympy.sstr(each, full_prec=True)) for each in decimals}
            )
        undefined = expression.has(sympy.zoo, sympy.nan)
        return None if undefined or isinstance(expression, BooleanAtom) else expression

    def compare(left: str, right: str) -> str:
        try:
            one, other = read(left), read(right)
            if one is None or other is None:
                return "unknown"

            def same(gold: Any, target: Any) -> bool:
                return bool(
                    verify(
                        gold,
                        target,
                        float_rounding=DIGITS,
                        numeric_precision=DIGITS,
                        timeout_seconds=None,
                        raise_on_error=True,
                    )
                )

            # `verify` is asymmetric: an equation or inequality is reduced to a value or an interval
            # only on one of the sides. Either order suffices, so the verdict has none.
            return "equal" if same(one, other) or same(other, one) else "unequal"
        except MemoryError:
            raise
        except Exception:
            return "unknown"

    return compare


def die_with_host(host: int) -> None:
    """Ask Linux to kill this process when the thread that started it ends."""
    if sys.platform == "linux":
        import ctypes
        import signal

        pr_set_pdeathsig = 1
        try:
            ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)
        except (OSError, AttributeError):
            return
        if os.getppid() != host:  # it died before we asked
            os._exit(0)


def limit_memory(limit: int) -> None:
    """Bound the address space to `limit` bytes, where the system can."""
    if sys.platform == "win32":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    except (OSError, ValueError):
        return


def is_short_of_memory(limit: int) -> bool:
    """Whether this process has at any time occupied more than half of `limit` bytes."""
    if sys.platform == "win32":
        return False
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return 2 * peak * (1 if sys.platform == "darwin" else 1024) > limit


def limit_processor(seconds: float) -> None:
    """Let the kernel end this process after `seconds` more of CPU.

    A backstop for a host that is gone while one long computation in C keeps every thread of ours
    from running.
    """
    if sys.platform == "win32":
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 2
    if hard == resource.RLIM_INFINITY or soft <= hard:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def read_requests(source: TextIO, requests: queue.SimpleQueue[str]) -> None:
    """Pass lines on, and end the process with its input, whatever the main thread is computing."""
    for line in source:
        requests.put(line)
    os._exit(0)


def main() -> None:
    """Answer requests until the input ends."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--host", type=int, required=True)
    arguments.add_argument("--memory-bytes", type=int, required=True)
    arguments.add_argument("--deadline-seconds", type=float, required=True)
    options = arguments.parse_args()
    die_with_host(options.host)

    # Parsers print: what they print must not end up among the replies.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def reply(**fields: object) -> None:
        replies.write(json.dumps(fields) + "\n")
        replies.flush()

    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=read_requests, args=(sys.stdin, requests), daemon=True).start()
    limit_memory(options.memory_bytes)
    try:
        compare = load_comparer()
        compare("x^2+1", r"\frac{x}{2}")  # what is loaded late is not for the first deadline
    except Exception as error:
        reply(error=f"{type(error).__name__}: {error}")
        return
    reply(ready=True)
    while True:
        request = json.loads(requests.get())
        limit_processor(10 * options.deadline_seconds)
        try:
            verdict = compare(request["left"], request["right"])
        except MemoryError:
            verdict = "unknown"
        # Where memory is short, sympy can fail, swallow that, and find nothing equal.
        retire = is_short_of_memory(options.memory_bytes)
        reply(verdict="unknown" if retire and verdict == "unequal" else verdict, retire=retire)


if __name__ == "__main__":
    main()
