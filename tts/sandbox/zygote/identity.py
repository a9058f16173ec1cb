"""Stop being root: become the user nobody, when nobody can still read the interpreter."""

from __future__ import annotations

import os
from collections.abc import Iterable

NOBODY = 65534


def become_nobody() -> None:
    """Give up uid 0 and all groups, for good."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def become_nobody_and_read(folders: Iterable[str]) -> None:
    """As `become_nobody`; PermissionError when one of `folders` is out of reach afterwards."""
    become_nobody()
    for folder in folders:
        os.listdir(folder)
