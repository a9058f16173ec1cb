"""What the author of a strategy imports: `Search` is all the hands a strategy has."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar, Protocol

import anyio
import numpy as np

from tts.budget.evidence import Evidence as Evidence
from tts.budget.split import Law as Law
from tts.budget.table import Table as Table
from tts.budget.table import agreement as agreement
from tts.errors import ConfigError as ConfigError
from tts.paper import COBBE as COBBE
from tts.paper import SINGHI as SINGHI
from tts.paper import SNELL as SNELL
from tts.paper import ZHAO as ZHAO
from tts.paper import Bill as Bill
from tts.paper import Paper as Paper
from tts.shares import in_proportion as in_proportion
from tts.shares import in_turn as in_turn
from tts.shares import ranked as ranked
from tts.shares import systematic as systematic
from tts.tree import Node as Node
from tts.types import PLAIN as PLAIN
from tts.types import POLICY as POLICY
from tts.types import VERIFIER as VERIFIER
from tts.types import Account as Account
from tts.types import Finish as Finish
from tts.types import Judgement as Judgement
from tts.types import Manner as Manner
from tts.types import Problem as Problem
from tts.types import Revising as Revising
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

    @property
    def limits(self) -> Mapping[str, float]:
        """The limits of this search by unit, those that are set: tokens, flops, seconds, ..."""
        ...

    @property
    def spent(self) -> Mapping[Account, float]:
        """FLOPs that each model has taken so far; output tokens where its size is not known."""
        ...

    @property
    def takes_instructions(self) -> bool:
        """Whether the policy can be told anything besides the problem."""
        ...

    async def expand(
        self,
        node: Node,
        n: int = 1,
        *,
        judge: bool = True,
        manner: Manner = PLAIN,
        keep: int | None = None,
    ) -> list[Node]:
        """Sample `n` next steps of `node`, each judged as soon as it is there; ordered by key.

        With `judge=False` the verifier is not asked, and nothing is held for it. With `keep` only
        the `keep` best of those that are not finished, by rank and then key, are what matters to
        whoever asks: votes on the others are cancelled as soon as they cannot be among these.
        """
        ...

    async def expand_all(
        self,
        allocation: Mapping[Node, int],
        *,
        judge: bool = True,
        manner: Manner = PLAIN,
        keep: int | None = None,
    ) -> list[Node]:
        """Expand several nodes at once, each by its number; ordered by key."""
        ...

    async def complete(self, node: Node, *, judge: bool = True, manner: Manner = PLAIN) -> Node:
        """Sample one continuation of `node` to its end, judge its steps; returns the end."""
        ...

    async def judge(self, node: Node, votes: int | None = None) -> Node:
        """Have judged what is not judged yet on the path to `node`; returns it.

        A step is judged once, however many ask for it at the same time. With `votes`, the step of
        `node` itself gets more votes until it has that many, if its verifier can say anything new;
        scores below it follow.
        """
        ...

    def can_complete(self, node: Node, *, manner: Manner = PLAIN) -> bool:
        """Whether `complete(node, judge=False)` fits what is left, if it is as long as usual.

        The search ends when all that it waits for can never fit; who asks first can do something
        cheaper instead. An answer may take what is left where its worst case does not fit; longer
        than that, it is cut off.
        """
        ...

    def can_judge(self, node: Node, votes: int | None = None, *, after: float = 0.0) -> bool:
        """Whether what `judge(node, votes)` does first fits what is left, at its worst.

        Steps are judged one by one: ask for each of a path, or say how much is to be spent before
        that, `after`, in the unit of `spent`. True where nothing is to be done.
        """
        ...

    async def revise(
        self, node: Node, how: Revising = Revising.AUTO, *, judge: bool = True
    ) -> Node | None:
        """Write a new solution after `node`, a finished one, of which a step was judged wrong.

        Returns the new end: on another path from the root if all was written anew, or on a branch
        after the last step before the wrong one. None: no step of it was judged wrong, or the
        policy's context has no room for what was said of it. Ask `how.settled` before anything is
        spent: a policy that takes no instructions cannot rewrite, which is a ConfigError.
        """
        ...

    def can_revise(self, node: Node, how: Revising = Revising.AUTO) -> bool:
        """Whether `revise(node, how, judge=False)` has something to write and fits what is left.

        It fits if it is as long as usual, as with `can_complete`. Does not have `node` judged.
        """
        ...

    async def answer_class(self, node: Node) -> int | None:
        """Which of the answers given so far a finished solution gives; None: it states none.

        Classes of equal answers are numbered from 0 in the order in which they were first asked
        for, and a node never changes its class. What cannot be told apart or equal is different.
        """
        ...

    def explain(self, action: str, reason: str) -> None:
        """Tell what was decided, and why: an event, for whoever asks where the compute went."""
        ...

    async def follow(self, strategy: str) -> None:
        """Go on as another strategy does, named with its knobs: `beam:n=8,width=2`.

        Raises:
            ConfigError: there is none of that name, a knob cannot be used, or it needs a verifier
                and there is none.
        """
        ...

    async def spread(self, task: Callable[[], Awaitable[object]], n: int) -> None:
        """Run `n` copies of `task` side by side; returns when all have ended.

        Of thousands, no more at a time than any engine has room for: `n` may be what no budget pays
        for.
        """
        ...


class Signal:
    """Lets tasks of a strategy wait for what another one does: each waits until it is given."""

    def __init__(self) -> None:
        self._given = anyio.Event()

    def give(self) -> None:
        """Wake all who wait now."""
        self._given.set()
        self._given = anyio.Event()

    async def wait(self) -> None:
        """Return when the signal is given the next time."""
        await self._given.wait()


class Strategy(Protocol):
    """A frozen dataclass of knobs with one coroutine that reads like its paper.

    It grows the tree; choosing the answer is a selector's work. `run` must not keep state on
    the strategy: one value serves many problems at once.

    A class may also bring its own way to choose the answer (`evidence`, an `Evidence`; used unless
    the caller asks for another), and say where it is from (`papers`, a tuple of `Paper`) and what
    it costs (`bill`, a `Bill`); `tts strategies` and `tts cite` show it.
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
