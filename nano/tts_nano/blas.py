"""BLAS: how many threads NumPy's matrix products use.

One a process is the default: nano models are too small to gain from more, and whoever runs several
engines gives each its core. The number is a property of the process, not of an engine. It is set
through the OpenBLAS that NumPy's wheels carry; with another BLAS (Accelerate, MKL, a system
library) the environment decides (`VECLIB_MAXIMUM_THREADS`, `MKL_NUM_THREADS`,
`OPENBLAS_NUM_THREADS`), and the variables are set here in case NumPy is not loaded yet.
"""

from __future__ import annotations

import ctypes
import os
import sys
from importlib.util import find_spec
from pathlib import Path

_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_FUNCTIONS = (
    "scipy_openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "openblas_set_num_threads",
)


def set_threads(count: int) -> bool:
    """Let every matrix product of this process use `count` threads; whether that could be set."""
    if "numpy" not in sys.modules:
        for variable in _VARIABLES:
            os.environ.setdefault(variable, str(count))
    for library in _bundled():
        for name in _FUNCTIONS:
            if (function := getattr(library, name, None)) is not None:
                function.argtypes, function.restype = [ctypes.c_int], None
                function(count)
                return True
    return False


def _bundled() -> list[ctypes.CDLL]:
    """The BLAS libraries in NumPy's wheel; loading one again gives the one that NumPy uses."""
    import numpy  # noqa: F401  (so that its library is in the process, with its dependencies)

    spec = find_spec("numpy")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    folders = (package.parent / "numpy.libs", package / ".dylibs")
    return [
        ctypes.CDLL(str(file)) for folder in folders for file in sorted(folder.glob("*openblas*"))
    ]
