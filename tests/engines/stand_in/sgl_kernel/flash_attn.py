"""Names of kernels, as in the package."""

from collections.abc import Callable
from typing import NoReturn

from sgl_kernel import _stand_in


def __getattr__(name: str) -> Callable[..., NoReturn]:
    if name.startswith("__"):
        raise AttributeError(name)
    return _stand_in(__name__, name)
