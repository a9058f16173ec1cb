"""The self-test: before any model-written code runs, a snippet of ours really tries to break out.

Return codes of the layers are promises; what this snippet meets is a fact.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator

SNIPPET = """
import errno, json, os, socket

CANARY, ENGINE = {canary!r}, {engine}


def read():
    refusals = []
    for path in ("/etc/passwd", CANARY):
        try:
            open(path).read(1)
        except FileNotFoundError:
            refusals.append("FileNotFoundError")
        except OSError as error:
            refusals.append(type(error).__name__)
        else:
            return
    raise PermissionError("/".join(sorted(set(refusals))))


def write():
    with open(CANARY, "a") as file:
        file.write("!")


def connect():
    for family in (socket.AF_INET, socket.AF_UNIX):
        socket.socket(family, socket.SOCK_DGRAM).close()


def fork():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def kill():
    os.kill(ENGINE, 0)


found = {{}}
for name, attempt in (
    ("files", read),
    ("writes", write),
    ("network", connect),
    ("processes", fork),
    ("signals", kill),
):
    try:
        attempt()
    except Exception as error:
        found[name] = f"{{type(error).__name__}}: {{error}}"
    else:
        found[name] = None
found["environment"] = ",".join(sorted(os.environ))
print(json.dumps(found))
"""


@contextlib.contextmanager
def snippet() -> Iterator[str]:
    """The text of the self-test, with a canary file that lives as long as the context."""
    with tempfile.NamedTemporaryFile(prefix="tts-canary-") as canary:
        canary.write(b"a secret")
        canary.flush()
        os.fchmod(
            canary.fileno(), 0o666
        )  # so that a refusal is the sandbox's and not the file's own
        yield SNIPPET.format(canary=canary.name, engine=os.getpid())


def findings(stdout: str) -> dict[str, str | None]:
    """What each attempt met: the refusal, or None where it succeeded."""
    found = json.loads(stdout)
    return {str(name): None if refusal is None else str(refusal) for name, refusal in found.items()}
