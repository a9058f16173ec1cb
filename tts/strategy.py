"""What the author of a strategy imports: `Search` is all the hands a strategy has."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar, Protocol

import numpy as np

from tts.errors import ConfigError as ConfigError
from tts.tree import Node as Node
from tts.types import Finish as Finish
from tts.types import Judgement as Judgement
from tts.types import Problem as Problem
from tts.types import Step as Step


class Search(Protocol):
    """One problem being searched. Each async method is a point at which the search may end:
    when the budget or the time is gone it does not return, and nothing has to be cleaned up.
    """

    @property
    def problem(self) -> Problem: ...

    @property
    def root(self) -> Node:
        """The empty prefix."""
        ...

    @property
    def rng(self) -> np.random.Generator:
        """The only source of chance; seeded by the run and the problem."""
        ...

    @property
    def budget_left(self) -> float:
        """Share of the scarcest limit that is neither spent nor held, in [0, 1]."""
        ...

    async def expand(self, node: Node, n: int = 1) -> list[Node]:
        """Sample `n` next steps of `node`, each judged as soon as it is there; ordered by key."""
        ...

    async def expand_all(self, allocation: Mapping[Node, int]) -> list[Node]:
        """Expand several nodes at once, each by its number; ordered by key."""
        ...

    async def complete(self, node: Node) -> Node:
        """Sample one continuation of `node` to its end, judge its steps; returns the end."""
        ...

    async def spread(self, task: Callable[[], Awaitable[object]], n: int) -> None:
        """Run `n` copies of `task` side by side; returns when all have ended."""
        ...


class Strategy(Protocol):
    """A frozen dataclass of knobs with one coroutine that reads like its paper.

    It grows the tree; choosing the answer is a selector's work. `run` must not keep state on
    the strategy: one value serves many problems at once.
    """

    needs_verifier: ClassVar[bool]
    """Whether it cannot work without verdicts."""

    async def run(self, search: Search) -> None: ...


def at_least(least: int, **knobs: int) -> None:
    """Check knobs of a strategy.

    Raises:
        ConfigError: a knob is below `least`.
    """
    for name, value in knobs.items():
        if value < least:
            raise ConfigError(f"{name}={value} must be at least {least}")


def positive(**knobs: float) -> None:
    """Check knobs of a strategy.

    Raises:
        ConfigError: a knob is not a finite number above 0.
    """
    for name, value in knobs.items():
        if not 0 < value < math.inf:
            raise ConfigError(f"{name}={value} must be above 0")
