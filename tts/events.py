"""Events: every fact of a search, once, in order. Whoever shows, stores or replays reads these.

A log is JSON lines: one object an event, `{"event": "added", ...}`, after a first line that
says the version of the format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from tts.tree import Tree
from tts.types import FREE, PLAIN, Account, Cost, Judgement, Key, Manner, Problem, Step


class StopReason(Enum):
    """Why a search ended. Every one is an outcome, with whatever was found until then."""

    DONE = "done"
    """The strategy had done all that it wanted."""
    BUDGET = "budget"
    """Nothing that was left to do fitted into the budget."""
    DEADLINE = "deadline"
    """The time was up."""
    CANCELLED = "cancelled"
    """The caller did not want more."""
    FAILED = "failed"
    """An engine failed; the result says how."""


@dataclass(frozen=True, slots=True)
class Started:
    """The search began."""

    problem: Problem
    seed: int
    strategy: str
    policy: str
    verifier: str | None


@dataclass(frozen=True, slots=True)
class Held:
    """A piece of work reserved the most that it can cost."""

    hold: int
    bounds: Mapping[Account, Cost]
    key: Key = ()
    """The step that it is about; the first one where it may be several."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The work on one account of a hold is over and cost this much."""

    hold: int
    account: Account
    cost: Cost
    wasted: Cost = FREE
    """Of this, what calls took that gave nothing, because they were cancelled or failed."""


@dataclass(frozen=True, slots=True)
class Added:
    """A step was sampled; its parent is `key[:-1]`."""

    key: Key
    step: Step
    manner: Manner = PLAIN
    """How it was asked for; together with the key it decides the seed."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The verifier was asked about a step."""

    key: Key
    judgement: Judgement | None
    """None: it has no say on this step, or was cut short before it had."""
    score: float | None
    """Of the whole prefix, after reduction."""


@dataclass(frozen=True, slots=True)
class Decided:
    """The strategy chose what to spend on next."""

    action: str
    reason: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The search ended."""

    reason: StopReason


Event = Started | Held | Settled | Added | Judged | Decided | Stopped


def apply(event: Event, tree: Tree) -> None:
    """Let `tree` know of `event`: the only way in which a tree changes."""
    match event:
        case Added(key, step, manner):
            tree.add(key, step, manner)
        case Judged(key, judgement, score):
            node = tree[key]
            node.judgement, node.own_score = judgement, score
        case _:
            pass


def replay(events: Iterable[Event]) -> Tree:
    """The tree that grew while `events` happened."""
    tree = Tree()
    for event in events:
        apply(event, tree)
    return tree
