"""Ledger: reserve before a call, settle after it. `spent + held <= limit`, at every moment.

The ledger waits, it does not refuse: a request that does not fit now waits until others have
settled for less than they held. Only when nothing is held and nothing that waits can fit is the
search told that its budget has ended, by a call and not by an exception that a strategy could
swallow. The deepest waiter goes first, so that what was begun gets finished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from itertools import count

from tts.budget.budget import NOTHING, Amount, Rates
from tts.budget.meter import Meter
from tts.budget.purse import Purse
from tts.errors import PluginError
from tts.types import FREE, Account, Cost, Key

Bounds = Mapping[Account, Cost]
"""The most that a piece of work can cost each account."""


class Hold:
    """What one piece of work holds, settled account by account. An async context manager."""

    __slots__ = ("_amounts", "_bounds", "_depth", "_id", "_key", "_ledger")

    def __init__(self, ledger: Ledger, bounds: Bounds, depth: int, key: Key) -> None:
        self._ledger = ledger
        self._bounds = bounds
        self._amounts = {who: ledger.rates.amount(who, bound) for who, bound in bounds.items()}
        self._depth = depth
        self._key = key
        self._id = -1

    async def __aenter__(self) -> Hold:
        amounts = self._amounts.values()
        total = reduce(Amount.plus, amounts)
        self._id = await self._ledger.acquire(self._bounds, total, self._depth, self._key)
        return self

    async def __aexit__(self, *_: object) -> None:
        while self._amounts:
            account, held = self._amounts.popitem()
            self._ledger.settle(self._id, account, held, Meter())
        self._ledger.close()

    @contextmanager
    def charge(self, account: Account, known: int = 0) -> Iterator[Meter]:
        """Work on `account`: what is booked on the meter replaces what was held for it.

        `known` is how much of the prompts of that work was computed before for the same search.

        Raises:
            PluginError: the work cost more than the bound that its author gave.
        """
        meter = Meter(known=known)
        held = self._amounts[account]
        try:
            yield meter
        finally:
            del self._amounts[account]
            spent = self._ledger.settle(self._id, account, held, meter)
        if not spent.within(held):
            bound = self._bounds[account]
            raise PluginError(f"the {account} cost {meter.cost}, more than its bound {bound}")


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told of holds: facts for the log."""

    held: Callable[[int, Bounds, Key], None]
    settled: Callable[[int, Account, Meter], None]


class Ledger:
    """The books of one search: its own purse first, then the pool that it shares with others."""

    def __init__(
        self,
        rates: Rates,
        purse: Purse,
        *,
        pool: Purse | None = None,
        give_up: Callable[[], None],
        ask: Callable[[], None] | None = None,
        listener: Listener,
    ) -> None:
        """`give_up` is called, perhaps more than once, when what waits can never fit.

        `ask` is called instead where it is the pool that has no room, if more can be had for it.
        """
        self.rates = rates
        self._purses = (purse,) if pool is None else (purse, pool)
        self._give_up = (give_up, ask or give_up)
        self._listener = listener
        self._ids = count()
        self.costs: dict[Account, Cost] = {}

    @property
    def left(self) -> float:
        """Share of the scarcest limit that is neither spent nor held, in [0, 1]."""
        return min(purse.left for purse in self._purses)

    @property
    def spent(self) -> Amount:
        """What this search has spent."""
        return self._purses[0].spent

    def may_fit(self, bounds: Bounds, times: float = 1.0) -> bool:
        """Whether work with `times` these bounds can be begun, now or later."""
        amount = self.rates.total(bounds).times(times)
        return all(purse.may_fit(amount) for purse in self._purses)

    def room(self) -> Amount:
        """What could be held now."""
        rooms = [purse.limit.minus(purse.spent).minus(purse.held) for purse in self._purses]
        return Amount(*(min(units) for units in zip(*rooms, strict=True)))

    def has_room(self, bounds: Bounds) -> bool:
        """Whether `bounds` could be held at once, and nobody waits."""
        total = self.rates.total(bounds)
        return all(purse.has_room(total) for purse in self._purses)

    def hold(self, bounds: Bounds, depth: int, key: Key = ()) -> Hold:
        """Hold `bounds` while the block runs; waits for room first, the deepest work first.

        `key` says in the books which step it is about.
        """
        return Hold(self, bounds, depth, key)

    async def acquire(self, bounds: Bounds, amount: Amount, depth: int, key: Key) -> int:
        """Hold `amount`, which is what `bounds` come to; returns the hold's id in this ledger."""
        entered: list[Purse] = []
        try:
            for purse, give_up in zip(self._purses, self._give_up, strict=False):
                await purse.acquire(amount, depth, give_up)
                entered.append(purse)
        except BaseException:
            for purse in entered:
                purse.settle(amount, NOTHING)
                purse.close()
            raise
        id = next(self._ids)
        self._listener.held(id, bounds, key)
        return id

    def settle(self, id: int, account: Account, held: Amount, meter: Meter) -> Amount:
        """One account of a hold is over: `held` is free again, what `meter` says is gone.

        Returns that.
        """
        spent = self.rates.amount(account, meter.cost)
        for purse in self._purses:
            purse.settle(held, spent)
        self.costs[account] = self.costs.get(account, FREE) + meter.cost
        self._listener.settled(id, account, meter)
        return spent

    def close(self) -> None:
        """A hold is over: see who can go on."""
        for purse in self._purses:
            purse.close()

    def release_reserve(self) -> None:
        """Open what this search kept back for finishing."""
        self._purses[0].release_reserve()
