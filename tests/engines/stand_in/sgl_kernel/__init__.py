"""Names of SGLang's GPU kernels, for a machine without one, where none of them is ever called."""

from collections.abc import Callable
from typing import NoReturn


def _stand_in(module: str, name: str) -> Callable[..., NoReturn]:
    def missing(*_: object, **__: object) -> NoReturn:
        raise NotImplementedError(f"{module}.{name} is a stand-in: there is no kernel here")

    return missing


def __getattr__(name: str) -> Callable[..., NoReturn]:
    if name.startswith("__"):
        raise AttributeError(name)
    return _stand_in(__name__, name)
