"""The command line. `main` is the command `tts`: it turns whatever happens into an exit code.

A command prints its result, and nothing else, on stdout. Progress, notes and errors go to stderr,
errors as one line `error: ...`; `TTS_DEBUG=1` shows where they come from.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import NoReturn

from tts.cli.exits import Exit, of_error
from tts.errors import TTSError, leaves

_BARE = frozenset({"--example", "--ray"})


def main() -> NoReturn:
    """Run the command that the process was started with, and end the process."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a letter is no reason to lose a result.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    calm_collector()
    sys.exit(run(sys.argv[1:]))


def calm_collector() -> None:
    """Collect garbage more rarely: a search's facts stay, and few of its objects form cycles.

    With Python's defaults a third of the time of a large search goes into looking through them. For
    programs, which own their process; the library leaves the collector alone.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 10)


def run(arguments: Sequence[str]) -> int:
    """Run the command that `arguments` spell; its exit code."""
    import typer

    from tts.cli.app import app

    words = _spelled_out(arguments)
    try:
        return int(app(words, prog_name="tts", standalone_mode=False) or 0)
    except typer.TyperException as error:
        return _usage(error)
    except (typer.Abort, KeyboardInterrupt):
        return _complain("interrupted", Exit.INTERRUPTED)
    except BaseExceptionGroup as group:
        if group.subgroup(KeyboardInterrupt) is not None:
            return _complain("interrupted", Exit.INTERRUPTED)
        if os.environ.get("TTS_DEBUG") or not isinstance(group, Exception):
            raise
        return _explain(group)
    except Exception as error:
        if os.environ.get("TTS_DEBUG"):
            raise
        return _explain(error)


def _spelled_out(words: Sequence[str]) -> list[str]:
    """`--example` alone means any example: typer has no options whose value may be left out.

    So does `--ray`: a cluster that is started for this.
    """
    spelled: list[str] = []
    for index, word in enumerate(words):
        following = words[index + 1 : index + 2]
        bare = word in _BARE and (not following or following[0].startswith("-"))
        spelled += [f"{word}="] if bare else [word]
    return spelled


def _usage(error: Exception) -> Exit:
    _name_value(error)
    message = str(getattr(error, "message", "") or error).strip()
    context = getattr(error, "ctx", None)
    if hasattr(error, "format_message"):
        message = error.format_message().strip()
    if not message:  # no command was given: the help has been printed
        return Exit.USAGE
    command = "tts" if context is None else context.command_path
    sentence = f"{message[0].lower()}{message[1:]}".rstrip(".")
    return _complain(f"{sentence} (see '{command} --help')", Exit.USAGE)


def _name_value(error: Exception) -> None:
    """Have an error about an option's value repeat it, which typer does for choices alone."""
    from pydantic import ValidationError

    from tts.config import complaint

    refused = error.__cause__
    if isinstance(refused, ValidationError) and hasattr(error, "message"):
        value, said = repr(refused.errors()[0]["input"]), complaint(refused)
        error.message = said if value in said else f"{value}: {said}"


def _explain(error: Exception) -> Exit:
    first = leaves(error)[0] if isinstance(error, BaseExceptionGroup) else error
    if isinstance(first, TTSError):
        return _complain(str(first), of_error(first))
    if isinstance(first, OSError) and first.errno in {errno.ENOSPC, errno.EDQUOT, errno.EIO}:
        return _complain(f"cannot write: {first.strerror}", Exit.USAGE)
    return _complain(
        f"unexpected {type(first).__name__}: {first} (a bug in tts or in a plug-in; "
        "run again with TTS_DEBUG=1 to see where)",
        Exit.BUG,
    )


def _complain(message: str, code: Exit) -> Exit:
    line = " ".join(message.split())
    print(f"error: {line}", file=sys.stderr)
    return code
