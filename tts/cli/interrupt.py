"""Interruption: the first signal asks a search for what it has found, the second quits at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_SHOW_CURSOR = "\x1b[?25h"


@contextmanager
def interruptible(cancel: Callable[[], None]) -> Iterator[None]:
    """While the block runs, the first Ctrl-C or SIGTERM calls `cancel` on the running event loop.

    A plain signal handler, because the event loop's own would wait for the loop, which may be busy
    with a model's arithmetic. Elsewhere than in the main thread nothing can be done, and is; a
    process that was told to ignore Ctrl-C (a shell's background job) goes on ignoring it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM)
        if (handler := signal.getsignal(number)) not in (signal.SIG_IGN, None)
    }

    def first(signum: int, frame: FrameType | None) -> None:
        for number in before:
            signal.signal(number, _quit)
        line = "\n" if sys.stderr.isatty() else ""  # a terminal has just shown ^C
        again = "Ctrl-C" if signum == signal.SIGINT else "SIGTERM"
        print(f"{line}stopping; {again} again quits at once", file=sys.stderr, flush=True)
        loop.call_soon_threadsafe(cancel)

    for number in before:
        signal.signal(number, first)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _quit(signum: int, frame: FrameType | None) -> NoReturn:
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), _SHOW_CURSOR.encode())  # the live view hides it
    os._exit(128 + signum)
