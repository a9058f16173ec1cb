"""What a caller may decide about the sandbox, as one frozen value."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Literal, get_args

from tts.errors import ConfigError, unknown

Tier = Literal["strict", "reduced", "unsafe"]


def available_cores() -> int:
    """The processors this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """Limits are per snippet and enforced from outside it. Sizes in bytes, times in seconds.

    `tier` is the least protection you accept; whatever else the system offers is applied too.

    strict     a snippet reads nothing but library folders, and reaches nothing outside itself
    reduced    as strict, but host files may be readable; through /proc that can include the
               environment and the memory of this process
    unsafe     time and size limits only; where the system offers no more (macOS), a snippet can do
               what you can
    """

    tier: Tier = "strict"
    workers: int = 0  # snippets at a time; 0 = available processors
    deadline_seconds: float = 5.0  # wall time
    memory_bytes: int = 512 << 20  # address space on top of the image's own
    output_bytes: int = 16 << 10  # of stdout, and as much of stderr; the rest is dropped
    image: tuple[str, ...] = ("sympy", "numpy")  # imported before the first snippet, if installed
    importable: tuple[str, ...] = ("scipy",)  # may be imported by a snippet, at its own expense
    module_name: Literal["__main__", "builtins"] = "__main__"  # "builtins": main guards do not run
    seed: int = 0  # of `random` and of the global generators of numpy and sympy, in each snippet
    cache_entries: int = 4096  # finished snippets remembered; 0 = none
    start_seconds: float = 120.0  # for the zygote to import its image
    disabled_layers: frozenset[str] = frozenset()  # by name, to find out what each one does
    landlock_abi: int = 99  # behave as an older kernel

    def __post_init__(self) -> None:
        """Reject what cannot work before a process is started for it."""
        if self.tier not in get_args(Tier):
            raise unknown("sandbox tier", str(self.tier), get_args(Tier))
        if self.module_name not in ("__main__", "builtins"):
            raise unknown("module name", self.module_name, ("__main__", "builtins"))
        if self.workers == 0:
            object.__setattr__(self, "workers", available_cores())
        for name in ("workers", "deadline_seconds", "memory_bytes", "output_bytes"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"sandbox {name} must be positive, not {getattr(self, name)!r}")
        if self.cache_entries < 0:
            raise ConfigError(f"sandbox cache_entries must not be negative: {self.cache_entries}")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"sandbox seed must be in 0 .. 2**32 - 1, not {self.seed}")
        strays = self.disabled_layers - LAYER_NAMES
        if strays:
            raise unknown("sandbox layer", min(strays), LAYER_NAMES)


LAYER_NAMES = frozenset(
    """
    capabilities landlock landlock_scope limits namespaces no_new_privileges not_dumpable
    own_session parent_death_signal seccomp single_thread user
    """.split()  # noqa: SIM905
)
