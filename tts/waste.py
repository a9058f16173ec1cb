"""Waste: what a search paid for and what is in none of its answers.

That is, of all costs: steps that lead to no finished answer (pruned, dropped, cut at a limit, or
left open at the end) with the verdicts on them; and, of all other work, calls that gave nothing
because they were cancelled or failed. An answer is a solution that the model itself ended and that
is a candidate. Cancelled votes and continuations that nobody kept are among the waste.

A verdict that had a step pruned did its work, and is counted all the same: waste is what a search
would have been spared that knew beforehand where its answers are, not what it did wrong. What an
engine's retries took is in the cost of the call that they were for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tts.events import Event, Held, Settled
from tts.tree import Tree
from tts.types import FREE, Account, Cost, Key


def waste(events: Iterable[Event], tree: Tree) -> Mapping[Account, Cost]:
    """Of what each account took, as `events` tell, what is in no answer of `tree`."""
    useful = {node.key for end in tree.ends() if end.answered for node in end.path()}
    about: dict[int, Key] = {}
    wasted: dict[Account, Cost] = {}
    for event in events:
        if isinstance(event, Held):
            about[event.hold] = event.key
        elif isinstance(event, Settled):
            lost = event.wasted if about[event.hold] in useful else event.cost
            wasted[event.account] = wasted.get(event.account, FREE) + lost
    return wasted
