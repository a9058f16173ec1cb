"""Ledger: reserve before a call, settle after it. `spent + held <= limit`, at every moment.

The ledger waits, it does not refuse: a request that does not fit now waits until others have
settled for less than they held. When nothing is held and nothing that waits can fit, work that can
do with less gets all that is left; only when there is none is the search told that its budget has
ended, by a call and not by an exception that a strategy could swallow. The deepest waiter goes
first, so that what was begun gets finished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from itertools import count

from tts.budget.budget import NOTHING, Amount, Rates
from tts.budget.meter import Meter
from tts.budget.purse import Purse
from tts.errors import PluginError
from tts.types import FREE, Account, Cost, Key

Bounds = Mapping[Account, Cost]
"""The most that a piece of work can cost each account."""
Least = Callable[[], Bounds]
"""What it can do with, asked when there is no more."""


class Hold:
    """What one piece of work holds, settled account by account. An async context manager."""

    __slots__ = ("_amounts", "_depth", "_id", "_key", "_least", "_ledger", "bounds")

    def __init__(
        self, ledger: Ledger, bounds: Bounds, depth: int, key: Key, least: Least | None
    ) -> None:
        self._ledger = ledger
        self.bounds = bounds
        """What is held, once it is: with less than was asked for, fewer output tokens."""
        self._amounts = {who: ledger.rates.amount(who, bound) for who, bound in bounds.items()}
        self._depth = depth
        self._key = key
        self._least = least
        self._id = -1

    async def __aenter__(self) -> Hold:
        wanted = reduce(Amount.plus, self._amounts.values())
        self._id, bounds = await self._ledger.acquire(
            self.bounds, wanted, self._depth, self._key, self._least
        )
        if bounds is not self.bounds:
            rates = self._ledger.rates
            self._amounts = {who: rates.amount(who, bound) for who, bound in bounds.items()}
            self.bounds = bounds
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
            bound = self.bounds[account]
            raise PluginError(f"the {account} cost {meter.cost}, more than its bound {bound}")


class _StepAside(Exception):
    """What is held is wanted by others, and leads nowhere."""


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
        self._give_up = (give_up, self._out_of_pool)
        self._ask = ask
        self._listener = listener
        self._ids = count()
        self.costs: dict[Account, Cost] = {}

    def fix_pool(self) -> None:
        """No more can be had for the pool: what is left of it has to do."""
        self._ask = None
        self._purses[-1].fix()

    @property
    def left(self) -> float:
        """Share of the scarcest limit that is neither spent nor held, in [0, 1].

        Of a pool in which more can be had when it is asked for, nobody knows how much is left.
        """
        return min(purse.left for purse in self._limits)

    @property
    def spent(self) -> Amount:
        """What this search has spent."""
        return self._purses[0].spent

    def may_fit(self, bounds: Bounds, times: float = 1.0) -> bool:
        """Whether work with `times` these bounds can be begun, now or later."""
        amount = self.rates.total(bounds).times(times)
        return all(purse.may_fit(amount) for purse in self._limits)

    def room(self) -> Amount:
        """What could be held now."""
        rooms = [purse.limit.minus(purse.spent).minus(purse.held) for purse in self._purses]
        return Amount(*(min(units) for units in zip(*rooms, strict=True)))

    def has_room(self, bounds: Bounds) -> bool:
        """Whether `bounds` could be held at once, and nobody waits."""
        total = self.rates.total(bounds)
        return all(purse.has_room(total) for purse in self._purses)

    def hold(
        self, bounds: Bounds, depth: int, key: Key = (), *, least: Least | None = None
    ) -> Hold:
        """Hold `bounds` while the block runs; waits for room first, the deepest work first.

        `key` says in the books which step it is about. With `least`, of one account as `bounds` are
        then, as few output tokens as that are held where there is no more to be had.
        """
        return Hold(self, bounds, depth, key, least)

    async def acquire(
        self, bounds: Bounds, amount: Amount, depth: int, key: Key, least: Least | None
    ) -> tuple[int, Bounds]:
        """Hold `amount`, which is what `bounds` come to, or from `least` on what there is.

        Returns the hold's id in this ledger, and what it holds.
        """
        smallest = None if least is None else lambda: self.rates.total(least())
        while True:
            try:
                entered = await self._enter(amount, depth, smallest)
                break
            except _StepAside:
                continue
        held = entered[-1][1]
        if held is not amount:
            bounds = self._cut(bounds, held)
            held = self.rates.total(bounds)
            for purse, taken in entered:
                purse.settle(taken.minus(held), NOTHING)
        id = next(self._ids)
        try:
            self._listener.held(id, bounds, key)
        except BaseException:  # of somebody who listens
            _give_back([(purse, held) for purse in self._purses])
            raise
        return id, bounds

    async def _enter(
        self, amount: Amount, depth: int, least: Callable[[], Amount] | None
    ) -> list[tuple[Purse, Amount]]:
        """Hold `amount`, or with `least` what there is of it, in each purse.

        Raises:
            _StepAside: it never will be, but others of this search wait for what it holds.
        """
        entered: list[tuple[Purse, Amount]] = []
        try:
            for purse, give_up in zip(self._purses, self._give_up, strict=False):
                behind = None if entered else self._behind
                amount = await purse.acquire(amount, depth, give_up, least, behind=behind)
                entered.append((purse, amount))
        except BaseException:
            _give_back(entered)
            raise
        return entered

    @property
    def _limits(self) -> Sequence[Purse]:
        """Those that cannot be raised."""
        return self._purses if self._ask is None else self._purses[:1]

    @property
    def _behind(self) -> Purse | None:
        """Where what is held of the own purse has to be held too, and whose limit stands."""
        return self._limits[1] if len(self._limits) > 1 else None

    def _out_of_pool(self) -> None:
        """Ask for more; else whoever holds of the own purse makes way or gives up."""
        if self._ask is not None:
            self._ask()
        elif self._purses[0].contested:
            raise _StepAside
        else:
            self._give_up[0]()

    def _cut(self, bounds: Bounds, room: Amount) -> Bounds:
        """`bounds` with as many output tokens as there is room for."""
        ((account, bound),) = bounds.items()
        tokens = self.rates.output_within(account, room, replace(bound, output_tokens=0))
        return {account: replace(bound, output_tokens=min(tokens, bound.output_tokens))}

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


def _give_back(entered: list[tuple[Purse, Amount]]) -> None:
    """End a hold with which nothing was done."""
    for purse, taken in entered:
        purse.settle(taken, NOTHING)
        purse.close()
