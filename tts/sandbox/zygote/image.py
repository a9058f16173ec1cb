"""The image: which modules a snippet finds imported, warmed up and ready when it starts."""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import os
import random
import site
import sys
from collections.abc import Sequence
from functools import partial
from types import ModuleType

from .warmup import NAMESPACE, SYMPY_CALLS

STANDARD = """
    math cmath fractions decimal random statistics itertools functools collections operator
    re string datetime time calendar bisect heapq copy json typing dataclasses enum abc
    numbers textwrap contextlib io warnings traceback linecache ast inspect types
    unicodedata array struct hashlib secrets queue pprint encodings.utf_8 encodings.ascii
    encodings.latin_1 encodings.idna timeit uuid pickle
""".split()  # noqa: SIM905


class ImageFinder:
    """Finds the packages of the image and no other third-party ones.

    The folders that hold them leave `sys.path`: what else is installed there is none of a
    snippet's business, and an import of it should fail as if it were absent.
    """

    def __init__(self, names: Sequence[str], folders: Sequence[str]) -> None:
        self._specs: dict[str, importlib.machinery.ModuleSpec] = {}
        for name in names:
            spec = importlib.machinery.PathFinder.find_spec(name, list(folders))
            if spec is not None:
                self._specs[name] = spec

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """As the import system asks; submodules are found through their package's own path."""
        known = self._specs.get(name)
        if known is None or path is not None or known.origin is None:
            return None
        return importlib.util.spec_from_file_location(
            name, known.origin, submodule_search_locations=known.submodule_search_locations
        )

    def folders(self) -> list[str]:
        """The folders and files that must stay readable for late imports from these packages."""
        found = []
        for spec in self._specs.values():
            inside = spec.submodule_search_locations or [spec.origin or ""]
            # Wheels put the shared libraries they bring along in `<package>.libs` beside it.
            found += [*inside, *(place + ".libs" for place in inside)]
        return found


def load(
    image: Sequence[str], importable: Sequence[str], folders: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """Import the standard library's usual part and `image`, and warm it up.

    Returns the version of each module of the image that exists here ("" when it names none), and
    the paths that third-party packages live in. Absent modules are skipped.
    """
    for name in STANDARD:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    site.setquit()  # exit() and quit(): without `site`, which would read configuration, none exist
    site.sethelper()
    finder = ImageFinder([*image, *importable, "mpmath", "gmpy2"], folders)
    sys.meta_path.append(finder)
    loaded: dict[str, str] = {}
    for name in image:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        loaded[name] = str(getattr(module, "__version__", ""))
    if "sympy" in loaded:
        _warm_sympy()
    if "numpy" in loaded:
        _warm_numpy()
    return loaded, finder.folders()


def _warm_sympy() -> None:
    """Fill sympy's caches and finish its late imports with the calls that snippets make most."""
    namespace: dict[str, object] = {}
    exec(NAMESPACE, namespace)
    for call in SYMPY_CALLS:
        with contextlib.suppress(Exception):
            str(eval(call, namespace))


def _warm_numpy() -> None:
    numpy = importlib.import_module("numpy")
    matrix = numpy.array([[2.0, 1.0], [1.0, 3.0]])
    numpy.linalg.solve(matrix, numpy.ones(2))
    numpy.linalg.eig(matrix)
    numpy.roots([1, -3, 2])
    str(matrix @ matrix)


def seed(number: int) -> None:
    """The same numbers in every child, also where os.fork() has `random` reseed itself."""
    random.seed(number)
    os.register_at_fork(after_in_child=partial(random.seed, number))
    for name in ("numpy.random", "sympy.core.random"):
        if name in sys.modules:
            sys.modules[name].seed(number)


def standard_library() -> str:
    """The folder of the interpreter's own modules."""
    return os.path.dirname(os.__file__)


def readable(folders: Sequence[str]) -> list[str]:
    """The parts of the standard library, and where the shared libraries now mapped live.

    In many installations third-party packages live below the standard library; they are not part
    of it. Of a shared library that lies above or beside them only the file counts.
    """
    base = standard_library()
    places = {
        os.path.join(base, name)
        for name in os.listdir(base)
        if name not in ("site-packages", "dist-packages")
    }
    crowded = {os.path.realpath(folder) for folder in (base, *folders)}
    with contextlib.suppress(OSError), open("/proc/self/maps", encoding="utf-8") as maps:
        for line in maps:
            path = "/" + line.rstrip("\n").partition("/")[2]
            if ".so" in path and not path.endswith("(deleted)"):
                folder = os.path.dirname(path)
                inside = os.path.join(os.path.realpath(folder), "")
                shared = any(os.path.join(other, "").startswith(inside) for other in crowded)
                places.add(path if shared else folder)
    return sorted(places)
