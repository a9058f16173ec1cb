"""Ctrl-C: the first asks a search for what it has found, the second ends the process at once."""

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

from tts.cli.exits import Exit

_SHOW_CURSOR = "\x1b[?25h"


@contextmanager
def interruptible(cancel: Callable[[], None]) -> Iterator[None]:
    """While the block runs, the first Ctrl-C calls `cancel` on the running event loop.

    A plain signal handler, because the event loop's own would wait for the loop, which may be busy
    with a model's arithmetic. Elsewhere than in the main thread nothing can be done, and is; a
    process that was told to ignore Ctrl-C (a shell's background job) goes on ignoring it.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return
    loop = asyncio.get_running_loop()

    def first(signum: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, _quit)
        line = "\n" if sys.stderr.isatty() else ""  # a terminal has just shown ^C
        print(f"{line}stopping; Ctrl-C again quits at once", file=sys.stderr, flush=True)
        loop.call_soon_threadsafe(cancel)

    before = signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _quit(signum: int, frame: FrameType | None) -> NoReturn:
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), _SHOW_CURSOR.encode())  # the live view hides it
    os._exit(Exit.INTERRUPTED)
