"""Watch: what the events of a search add up to so far, for whoever shows it while it runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from tts.answers import extract_answer, normalise
from tts.budget.budget import Amount, Budget, Rates
from tts.events import Event, Held, Settled, apply
from tts.select import Candidate, Choice, Selector, name_of
from tts.tree import Tree
from tts.types import FREE, Account, Cost, Key


class Watch:
    """Hears every event, cheaply; works things out only when asked."""

    def __init__(
        self,
        budget: Budget,
        rates: Rates,
        selector: Selector,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget = budget
        self.costs: dict[Account, Cost] = {}
        self.working = 0
        """Pieces of work in progress: steps, answers or verdicts."""
        self._rates = rates
        self._selector = selector
        self._tree = Tree()
        self._candidates: dict[Key, tuple[str | None, str]] = {}
        self._open: dict[int, set[Account]] = {}
        self._clock = clock
        self._begin = clock()

    def hear(self, event: Event) -> None:
        """Take note of `event`."""
        apply(event, self._tree)
        match event:
            case Held(hold, bounds):
                self._open[hold] = set(bounds)
            case Settled(hold, account, cost):
                self.costs[account] = self.costs.get(account, FREE) + cost
                self._open[hold].discard(account)
                if not self._open[hold]:
                    del self._open[hold]
            case _:
                pass
        self.working = len(self._open)

    @property
    def seconds(self) -> float:
        """Since the watch was made."""
        return self._clock() - self._begin

    @property
    def steps(self) -> int:
        """Steps written."""
        return len(self._tree)

    @property
    def spent(self) -> Amount:
        """In the units of a budget."""
        return self._rates.total(self.costs)

    def shares(self) -> Mapping[str, tuple[float, float]]:
        """What is spent and its limit, for each limit that there is."""
        spent = {**self.spent._asdict(), "seconds": self.seconds}
        return {name: (spent[name], limit) for name, limit in self.budget.limits().items()}

    def candidates(self) -> list[Candidate]:
        """Finished solutions; answers are the same where their notation is.

        What algebra would find equal is only told at the end: it takes a process of its own.
        """
        labels: dict[str, int] = {}
        found: list[Candidate] = []
        for node in self._tree.ends():
            if node.key not in self._candidates:
                answer = extract_answer(node.text) if node.answered else None
                self._candidates[node.key] = (answer, "" if answer is None else normalise(answer))
            answer, form = self._candidates[node.key]
            label = labels.setdefault(form, len(labels)) if form else None
            found.append(
                Candidate(node.key, "", answer, label, node.score, node.votes, node.covered)
            )
        return found

    def leader(self) -> Choice | None:
        """The answer that would be given now."""
        return self._selector(self.candidates())

    @property
    def selector(self) -> str:
        """The name of what chooses the answer."""
        return name_of(self._selector)

    @property
    def rate(self) -> float:
        """Output tokens a second, all models together, since the start."""
        return self.spent.tokens / max(self.seconds, math.ulp(1.0))
