"""Bank: what several searches may spend together, given out in parts, where it is worth most.

Whoever has used up what it was given asks for another part, and bids what a sample more would add
to the chance that its answer is right, for its price. As long as something is left, the highest bid
of those that wait is served whenever there is a place to work: so easy problems, whose samples
agree, leave theirs to hard ones. Nobody waits for a round to end. When nothing is left that anybody
could use, the lowest bidder has to do with what it has, and so on; what a search did not spend
comes back when it ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tts.budget.budget import Amount
from tts.budget.purse import Purse


@dataclass(eq=False, slots=True)
class Client:
    """One search's dealings with the bank."""

    bank: Bank
    purse: Purse
    bid: float = math.inf
    waiting: bool = False
    no_more: Callable[[], None] = lambda: None

    def ask(self, bid: float, no_more: Callable[[], None]) -> None:
        """It has used up what it was given; `no_more` is called if it never gets any."""
        if not self.waiting:
            self.bid, self.no_more, self.waiting = bid, no_more, True
            self.bank.serve()

    def close(self) -> None:
        """Its search has ended: what it did not spend goes to others."""
        self.bank.close(self)


class Bank:
    """Gives out `total`: at any time all purses together may spend no more than that."""

    def __init__(self, total: Amount, part: Amount, at_once: int) -> None:
        """
        Args:
            total: of all searches together; infinite where nothing is limited.
            part: what is given at a time, or as much more as the asker needs for its next step.
            at_once: searches that work at the same time; the others wait for a place.
        """
        self.left = total
        self._part = part
        self._at_once = at_once
        self._clients: list[Client] = []

    def open(self) -> Client:
        """A client with an empty purse."""
        nothing = Amount(*(math.inf if math.isinf(limit) else 0.0 for limit in self.left))
        client = Client(self, Purse(nothing, raisable=True))
        self._clients.append(client)
        return client

    def close(self, client: Client) -> None:
        """See `Client.close`."""
        purse = client.purse
        unspent = purse.limit.minus(purse.spent)
        purse.limit = purse.spent
        self._clients.remove(client)
        self.left = self.left.plus(unspent)
        self.serve()

    def serve(self) -> None:
        """Give to those that wait, the highest bid first; if to nobody, the lowest gets no more."""
        waiting = [client for client in self._clients if client.waiting]
        working = len(self._clients) - len(waiting)
        waiting.sort(key=lambda client: -client.bid)
        for client in waiting:
            if working >= self._at_once:
                return
            if (short := client.purse.short_of(self.left)) is not None:
                wanted = Amount(*map(max, self._part, short))
                self._give(client, wanted.at_most(self.left))
                working += 1
        if working:
            return
        for client in waiting:  # nobody's worst case fits: what is left may do for somebody
            if (given := client.purse.give_last(self.left)) is not None:
                self._book(client, given)
                return
        if waiting:  # what the lowest bidder has left over may do for the others
            waiting[-1].waiting = False
            waiting[-1].no_more()

    def _give(self, client: Client, amount: Amount) -> None:
        self._book(client, amount)
        client.purse.raise_limit(amount)

    def _book(self, client: Client, amount: Amount) -> None:
        """It gets `amount`, and works."""
        self.left = Amount(
            *(
                left if math.isinf(left) else left - given
                for left, given in zip(self.left, amount, strict=True)
            )
        )
        client.waiting = False
