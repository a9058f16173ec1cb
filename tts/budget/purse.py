"""Purse: one limit, what is spent and held of it, and who waits for room, the deepest first.

It does not refuse: what does not fit now waits until others have settled for less than they held.
Whoever can never fit steps aside, so that cheaper work behind it goes on; when nothing is held and
only such are left, one that can do with less gets all that is left, and otherwise they are told.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from operator import attrgetter

import anyio
from anyio.lowlevel import checkpoint

from tts.budget.budget import NOTHING, Amount

_TURNS = 8
"""Turns of the event loop for which somebody without hope lets others speak: one who has just
settled may be about to ask for less."""


@dataclass(eq=False, slots=True)
class Waiter:
    """Somebody who waits for `amount`."""

    order: tuple[int, int]  # (-depth, arrival): the deepest first, then the longest waiting
    amount: Amount
    least: Callable[[], Amount] | None = None
    """What it can do with, if need be, by what is known when it comes to that."""
    behind: Purse | None = None
    """In which it will have to be held too."""
    granted: bool = False
    gone: bool = False
    """Cancelled; what is left of it in the queue is passed over."""
    woken: anyio.Event = field(default_factory=anyio.Event)
    """Set when it is granted, and when it should consider whether there is any hope."""

    def __lt__(self, other: Waiter) -> bool:
        return self.order < other.order

    def may_fit_behind(self, amount: Amount) -> bool:
        """Whether `amount` can be held there, now or later."""
        return self.behind is None or self.behind.may_fit(amount)

    def would_do_with(self, rest: Amount) -> bool:
        """Whether that is something to begin with."""
        if self.least is None:
            return False
        least = self.least()
        return least.within(rest) and self.may_fit_behind(least)


class Purse:
    """One limit: what is spent, what is held, who waits. Purses may stand behind one another."""

    def __init__(self, limit: Amount, reserve: Amount = NOTHING, *, raisable: bool = False) -> None:
        """`reserve` is kept back from `acquire` until `release_reserve`; see `limit`.

        Of one that is `raisable` nobody takes less than it wants before it is told to: more may be
        had when it is asked for.
        """
        self.limit = limit
        self._raisable = raisable
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
    def contested(self) -> bool:
        """Whether several hold of it, or somebody waits who could go on, if need be with less, were
        all given back.
        """
        rest = self.limit.minus(self.spent)
        return (
            self._open > 1
            or any(not each.gone for each in self._waiters)
            or any(each.would_do_with(rest) for each in self._hopeless)
        )

    def short_of(self, most: Amount) -> Amount | None:
        """What is missing, at most `most`, for the first of those that wait for so little.

        When nothing is held. None: all who wait want more; `NOTHING`: nobody waits.
        """
        waiting = [each for each in (*self._waiters, *self._hopeless) if not each.gone]
        waiting.sort(key=attrgetter("order"))
        missing = (self._missing(each.amount.plus(self._reserve)) for each in waiting)
        return next((each for each in missing if each.within(most)), None) if waiting else NOTHING

    def raise_limit(self, amount: Amount) -> None:
        """Let `amount` more be spent."""
        self.limit = self.limit.plus(amount)
        self._hope()

    def fix(self) -> None:
        """There will be no more than there is."""
        self._raisable = False
        self._wake()

    def give_last(self, most: Amount) -> Amount | None:
        """Let the first who can begin with less than it wants do so, with what is left and `most`.

        Returns how much of `most` it took; None: there is nobody. There will be no more.
        """
        rest = self.limit.minus(self.spent)
        waiter = None if self._open else self._modest(rest.plus(most))
        if waiter is None:
            return None
        given = self._missing(waiter.amount).at_most(most)
        self.limit = self.limit.plus(given)
        self._grant_last(waiter)
        return given

    def has_room(self, amount: Amount) -> bool:
        """Whether `amount` could be held at once, and nobody waits."""
        return not self._waiters and not self._hopeless and self._fits(amount)

    async def acquire(
        self,
        amount: Amount,
        depth: int,
        give_up: Callable[[], None],
        least: Callable[[], Amount] | None = None,
        *,
        behind: Purse | None = None,
    ) -> Amount:
        """Hold `amount`; wait for it if need be. Returns what is held.

        That is less, all that is left and at least `least()`, where `amount` can never fit and
        nothing else can be done with it; what was kept back is part of it. `give_up` is called when
        there is not even that. Nothing is held here that could never be held `behind` too.
        """
        possible = behind is None or behind.may_fit(amount)
        if possible and not self._waiters and self._fits(amount):
            self._take(amount)
            return amount
        waiter = Waiter((-depth, next(self._arrivals)), amount, least, behind)
        heapq.heappush(self._waiters, waiter)
        try:
            self._serve()
            while not await self._granted(waiter):
                if not (self._open or (not self._raisable and self._give_rest())):
                    give_up()
        except BaseException:
            if waiter.granted:
                self.settle(waiter.amount, NOTHING)
                self.close()
            elif waiter in self._hopeless:
                del self._hopeless[waiter]  # which makes room for nobody
            else:
                waiter.gone = True
                self._serve()
            raise
        return waiter.amount

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
        self._wake()

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

    def _grant(self, waiter: Waiter) -> None:
        self._take(waiter.amount)
        waiter.granted = True
        waiter.woken.set()

    def _serve(self) -> None:
        """Grant in order. One that may fit later is not overtaken by those behind it; one that
        can never fit (what is spent never comes back) steps aside.
        """
        aside: list[Waiter] = []
        while self._waiters:
            waiter = self._waiters[0]
            if waiter.gone:
                heapq.heappop(self._waiters)
            elif not (self.may_fit(waiter.amount) and waiter.may_fit_behind(waiter.amount)):
                aside.append(heapq.heappop(self._waiters))
            elif self._fits(waiter.amount):
                heapq.heappop(self._waiters)
                self._grant(waiter)
            else:
                break
        self._hopeless.update(dict.fromkeys(aside))
        self._wake(aside)

    def _wake(self, waiters: Iterable[Waiter] | None = None) -> None:
        """Have those without hope consider that, if nothing is held: all of them, or these."""
        if not self._open:
            for waiter in self._hopeless if waiters is None else waiters:
                waiter.woken.set()

    def _missing(self, amount: Amount) -> Amount:
        """How much more there would have to be for `amount`, when nothing is held."""
        pairs = zip(amount.plus(self.spent), self.limit, strict=True)
        return Amount(*(max(0.0, wanted - limit) for wanted, limit in pairs))

    def _modest(self, rest: Amount) -> Waiter | None:
        """The first of those without hope who can do with `rest`."""
        return min((each for each in self._hopeless if each.would_do_with(rest)), default=None)

    def _give_rest(self) -> bool:
        """Grant all that is left to the first who can do with so little; False: there is none.

        Nothing is held.
        """
        if (waiter := self._modest(self.limit.minus(self.spent))) is None:
            return False
        self._grant_last(waiter)
        return True

    def _grant_last(self, waiter: Waiter) -> None:
        del self._hopeless[waiter]
        waiter.amount = waiter.amount.at_most(self.limit.minus(self.spent))
        self._grant(waiter)

    def _hope(self) -> None:
        """There is more to be had: who stepped aside waits again."""
        for waiter in self._hopeless:
            heapq.heappush(self._waiters, waiter)
        self._hopeless.clear()
        self._serve()
