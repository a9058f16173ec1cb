"""Study: work in pieces that processes share out among them, and put together again.

A benchmark hands its work to a study in waves of stages; a stage is one kind of work on many items.
Each item's outcome is written down in the types of JSON and read back from there, whoever worked it
out: so a report is the same whether one process did everything, or it was put together from parts.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tts.errors import ConfigError, TTSError

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Outcomes = dict[str, dict[int, Any]]
"""By stage and by the item's place in it, in the types of JSON."""


class Unfinished(TTSError):
    """The work cannot go on before other shares have done theirs."""


@dataclass(frozen=True, slots=True)
class Share:
    """The `index`-th of `count` equal shares; 1 <= index <= count."""

    index: int = 1
    count: int = 1

    @classmethod
    def parsed(cls, text: str) -> Share:
        """`2/8` as a share.

        Raises:
            ConfigError: it is none.
        """
        first, slash, last = text.partition("/")
        if not (
            slash and first.isascii() and last.isascii() and first.isdigit() and last.isdigit()
        ):
            raise ConfigError(f"{text!r} is no share; write I/N, such as 2/8")
        share = cls(int(first), int(last))
        if not 1 <= share.index <= share.count:
            raise ConfigError(
                f"there is no share {text}: shares of {last} are 1/{last} to {last}/{last}"
            )
        return share

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def places(self, items: int) -> range:
        """Which of `items` places are in this share: every `count`-th, so that kinds mix."""
        return range(self.index - 1, items, self.count)

    def run(self, units: int) -> range:
        """Which of `units` are in it where neighbours should stay together."""
        return range(units * (self.index - 1) // self.count, units * self.index // self.count)


WHOLE = Share()


@dataclass(frozen=True, slots=True)
class Stage(Generic[Item, Outcome]):
    """One kind of work on many items, independent of one another."""

    name: str
    """Unlike that of every other stage of the study; shown as progress."""
    items: Sequence[Item]
    outcome: type[Outcome]
    """A dataclass, or whatever else pydantic turns into JSON and back."""
    work: Callable[[Sequence[Item], Callable[[], None]], Awaitable[Sequence[Outcome]]]
    """Some of the items in, their outcomes out, in their order; is to call its second argument as
    each is done. Models are to be opened here: not every process gets here."""


@dataclass(slots=True)
class Study:
    """What a benchmark is given to do its work with. Calling it tells progress."""

    progress: Callable[[str, float], None]
    """Hears what is being done and how far it is, in [0, 1]."""
    share: Share | None = WHOLE
    """Which of the items are worked on here; None: none, everything is known already."""
    outcomes: Outcomes = field(default_factory=dict)
    """What is known: at first what others found, then what is found here too."""
    keep: Callable[[], None] = lambda: None
    """Called whenever there are new outcomes."""
    waves: int = 0
    """Begun so far."""

    def __call__(self, doing: str, done: float) -> None:
        self.progress(doing, done)

    async def wave(self, stages: Sequence[Stage[Item, Outcome]]) -> list[list[Outcome]]:
        """The outcomes of all items of `stages`, of which none needs another's.

        Raises:
            Unfinished: what is done here is done; the rest is in other shares.
            TTSError: as the work raises.
        """
        self.waves += 1
        for stage in stages:
            await self._work(stage)
        for stage in stages:
            if lacking := len(stage.items) - len(self.outcomes.get(stage.name, {})):
                raise Unfinished(f"{lacking} of {len(stage.items)} of {stage.name!r} are not done")
        return [
            [_decoded(stage.outcome, self.outcomes[stage.name][n]) for n in range(len(stage.items))]
            if stage.items
            else []
            for stage in stages
        ]

    async def same(
        self, name: str, outcome: type[Outcome], work: Callable[[], Awaitable[Outcome]]
    ) -> Outcome:
        """What every share works out for itself, since all of its own work begins with it.

        Raises:
            Unfinished: no share has.
        """
        known = self.outcomes.setdefault(name, {})
        if 0 not in known:
            if self.share is None:
                raise Unfinished(f"{name!r} is not done")
            known[0] = _encoded(outcome, await work())
            self.keep()
        return _decoded(outcome, known[0])

    async def _work(self, stage: Stage[Item, Outcome]) -> None:
        known = self.outcomes.setdefault(stage.name, {})
        own = () if self.share is None else self.share.places(len(stage.items))
        places = [place for place in own if place not in known]
        if not places:
            return
        done = 0

        def tell() -> None:
            nonlocal done
            done += 1
            self.progress(stage.name, done / len(places))

        found = await stage.work([stage.items[place] for place in places], tell)
        for place, each in zip(places, found, strict=True):
            known[place] = _encoded(stage.outcome, each)
        self.keep()


def together(parts: Sequence[tuple[str, Mapping[str, Mapping[int, Any]]]]) -> Outcomes:
    """The outcomes of several shares, each with the name by which it is blamed.

    Raises:
        ConfigError: two of them disagree about what they both worked out.
    """
    known: Outcomes = {}
    source: dict[tuple[str, int], str] = {}
    for name, outcomes in parts:
        for stage, found in outcomes.items():
            for place, outcome in found.items():
                before = known.setdefault(stage, {}).setdefault(place, outcome)
                first = source.setdefault((stage, place), name)
                if json.dumps(before) != json.dumps(outcome):
                    raise ConfigError(
                        f"{first} and {name} disagree about {stage!r}: their engines' samples do "
                        "not follow from the seed, so that their work cannot be put together"
                    )
    return known


def _encoded(kind: type[Any], value: object) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind).dump_python(value, mode="json")


def _decoded(kind: type[Outcome], plain: object) -> Outcome:
    from pydantic import TypeAdapter

    decoded: Outcome = TypeAdapter(kind).validate_python(plain)
    return decoded
