"""Ledger: reserve before a call, settle after it. `spent + held <= limit`, at every moment.

The ledger waits, it does not refuse: a request that does not fit now waits until others have
settled for less than they held. Only when nothing is held and nothing that waits can fit is the
search told that its budget has ended, by a call and not by an exception that a strategy could
swallow. The deepest waiter goes first, so that what was begun gets finished.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from itertools import count

import anyio
from anyio.lowlevel import checkpoint

from tts.budget.budget import NOTHING, Amount, Rates
from tts.budget.meter import Meter
from tts.errors import PluginError
from tts.types import FREE, Account, Cost, Key

_TURNS = 8
"""Turns of the event loop for which somebody without hope lets others speak: one who has just
settled may be about to ask for less."""

Bounds = Mapping[Account, Cost]
"""The most that a piece of work can cost each account."""


@dataclass(eq=False, slots=True)
class Waiter:
    """Somebody who waits for `amount`."""

    order: tuple[int, int]  # (-depth, arrival): the deepest first, then the longest waiting
    amount: Amount
    granted: bool = False
    gone: bool = False
    """Cancelled; what is left of it in the queue is passed over."""
    woken: anyio.Event = field(default_factory=anyio.Event)
    """Set when it is granted, and when it should consider whether there is any hope."""

    def __lt__(self, other: Waiter) -> bool:
        return self.order < other.order


class Purse:
    """One limit: what is spent, what is held, who waits. Purses may stand behind one another."""

    def __init__(self, limit: Amount, reserve: Amount = NOTHING) -> None:
        """`reserve` is kept back from `acquire` until `release_reserve`; see `limit`."""
        self.limit = limit
        self.spent = NOTHING
        self.held = NOTHING
        self._open = 0  # holds that are not settled
        self._reserve = reserve
        self._waiters: list[Waiter] = []  # a heap
        self._hopeless: dict[Waiter, None] = {}  # those who can never fit, as things stand
        self._arrivals = count()

    @property
    def left(self) -> float:
        """Share of the scarcest unit that is neither spent nor held, in [0, 1]."""
        used = self.spent.plus(self.held)
        return min(
            (
                max(0.0, 1 - part / whole) if whole else 0.0
                for part, whole in zip(used, self.limit, strict=True)
            ),
            default=1.0,
        )

    def may_fit(self, amount: Amount) -> bool:
        """Whether `amount` can be held, now or when all that is held has been given back."""
        # Added up in the order of `_fits`, so that fractions are rounded alike.
        return amount.plus(self.spent).plus(NOTHING).plus(self._reserve).within(self.limit)

    @property
    def shortfall(self) -> Amount:
        """What is missing for the first who waits, when nothing is held."""
        waiting = [each for each in (*self._waiters, *self._hopeless) if not each.gone]
        if not waiting:
            return NOTHING
        used = min(waiting).amount.plus(self.spent).plus(self._reserve)
        pairs = zip(used, self.limit, strict=True)
        return Amount(*(max(0.0, wanted - limit) for wanted, limit in pairs))

    def raise_limit(self, amount: Amount) -> None:
        """Let `amount` more be spent."""
        self.limit = self.limit.plus(amount)
        self._hope()

    def has_room(self, amount: Amount) -> bool:
        """Whether `amount` could be held at once, and nobody waits."""
        return not self._waiters and not self._hopeless and self._fits(amount)

    async def acquire(self, amount: Amount, depth: int, give_up: Callable[[], None]) -> None:
        """Hold `amount`; wait for it if need be. `give_up` is called when it can never fit."""
        if not self._waiters and self._fits(amount):
            self._take(amount)
            return
        waiter = Waiter((-depth, next(self._arrivals)), amount)
        heapq.heappush(self._waiters, waiter)
        try:
            self._serve()
            while not await self._granted(waiter):
                give_up()
        except BaseException:
            if waiter.granted:
                self.settle(amount, NOTHING)
                self.close()
            elif waiter in self._hopeless:
                del self._hopeless[waiter]  # which makes room for nobody
            else:
                waiter.gone = True
                self._serve()
            raise

    async def _granted(self, waiter: Waiter) -> bool:
        """Wait for `waiter`'s turn; False if it can never come."""
        while not waiter.granted:
            await waiter.woken.wait()
            waiter.woken = anyio.Event()
            for _ in range(_TURNS):
                if waiter.granted or self._open:
                    break
                await checkpoint()
            else:
                return False
        return True

    def settle(self, held: Amount, spent: Amount) -> None:
        """Part of a hold is over: `held` is free again, `spent` is gone."""
        self.held = self.held.minus(held)
        self.spent = self.spent.plus(spent)

    def close(self) -> None:
        """A hold is over."""
        self._open -= 1
        if not self._open:
            self.held = NOTHING  # whatever fractions of a cent were rounded to
        self._serve()

    def release_reserve(self) -> None:
        """Open what was kept back to everybody."""
        if any(self._reserve):
            self._reserve = NOTHING
            self._hope()

    def _fits(self, amount: Amount) -> bool:
        return amount.plus(self.spent).plus(self.held).plus(self._reserve).within(self.limit)

    def _take(self, amount: Amount) -> None:
        self.held = self.held.plus(amount)
        self._open += 1

    def _serve(self) -> None:
        """Grant in order. One that may fit later is not overtaken by those behind it; one that
        can never fit (what is spent never comes back) steps aside.
        """
        while self._waiters:
            waiter = self._waiters[0]
            if waiter.gone:
                heapq.heappop(self._waiters)
            elif self._fits(waiter.amount):
                heapq.heappop(self._waiters)
                self._take(waiter.amount)
                waiter.granted = True
                waiter.woken.set()
            elif self.may_fit(waiter.amount):
                return
            else:
                self._hopeless[heapq.heappop(self._waiters)] = None
        if not self._open:
            for waiter in self._hopeless:
                waiter.woken.set()

    def _hope(self) -> None:
        """There is more to be had: who stepped aside waits again."""
        for waiter in self._hopeless:
            heapq.heappush(self._waiters, waiter)
        self._hopeless.clear()
        self._serve()


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

    def may_fit(self, bounds: Bounds) -> bool:
        """Whether work with these bounds can be begun, now or later."""
        amount = NOTHING
        for account, bound in bounds.items():
            amount = amount.plus(self.rates.amount(account, bound))
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
