"""Plainness: whether a snippet can do without the image, so that its process is made for less.

Only cost depends on it: a child of the plain zygote is confined as any other, and can still import
what the image holds, at its own expense.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

_UNDER_THE_IMAGE = ("mpmath", "gmpy2")
_DYNAMIC = ("__import__", "import_module", "importlib", "exec", "eval", "getattr", "modules")
"""Words by which code can name a module that does not stand in its text."""


def plainness(packages: Iterable[str]) -> Callable[[Sequence[str]], bool]:
    """Tells of the texts that run together whether none of them can mean one of `packages`."""
    roots = {package.partition(".")[0] for package in packages}
    words = (*roots, *_UNDER_THE_IMAGE, *_DYNAMIC)

    def plain(texts: Sequence[str]) -> bool:
        return not any(word in text for text in texts for word in words)

    return plain
