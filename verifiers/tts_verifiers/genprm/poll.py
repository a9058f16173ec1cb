"""Poll: the votes on one step, from those that were given before to the one that ends it."""

from __future__ import annotations

from collections.abc import Sequence

from tts.verifier import Meter, Told, Vote, without_gap
from tts_verifiers.genprm.ballot import Opinion
from tts_verifiers.genprm.sequential import Decisive, decided, enough, least_more


class Poll:
    """Hears votes in any order, and counts them in their own."""

    def __init__(
        self, heard: Sequence[Vote], wanted: int, decisive: Decisive, told: Told | None
    ) -> None:
        """
        Args:
            heard: votes that were given before.
            wanted: how many there are to be, these included.
            decisive: when it ends.
            told: hears of each vote, where all are given.
        """
        self.heard = tuple(map(Opinion, heard))
        self.due = range(len(heard), wanted)
        """The votes still to be given, as it begins."""
        self._wanted = wanted
        self._decisive = decisive
        self._told = told
        self._opinions = dict(enumerate(self.heard))
        self._bills: dict[int, Meter] = {}

    @property
    def over(self) -> bool:
        """Whether the rest is not waited for."""
        return self._decisive is not Decisive.NO and decided(self._given, self._left)

    @property
    def open_to(self) -> int:
        """Votes below this number may begin now."""
        if self._decisive is Decisive.SPARING:
            return len(self._given) + least_more(self._given, self._left)
        return self._wanted

    @property
    def opinions(self) -> list[Opinion]:
        """Those that count."""
        return list(self._given[: self._used])

    def bill(self, vote: int) -> Meter:
        """Where a vote that is asked for by itself books what it takes."""
        return self._bills.setdefault(vote, Meter())

    def hear(self, vote: int, opinion: Opinion) -> None:
        """Take note of an opinion, and tell of it."""
        self._opinions[vote] = opinion
        if self._told is not None and self._decisive is Decisive.NO and self._left:
            self._told(tuple(each.vote for each in self._given), self._left)

    def settle(self, meter: Meter) -> None:
        """Book what `bill` gave out; what does not count was for nothing."""
        for vote, own in self._bills.items():
            (meter.add if vote < self._used else meter.lose)(own)

    @property
    def _given(self) -> tuple[Opinion, ...]:
        return without_gap(self._opinions)

    @property
    def _left(self) -> int:
        return self._wanted - len(self._given)

    @property
    def _used(self) -> int:
        if self._decisive is Decisive.NO:
            return len(self._given)
        return enough(self._given, self._wanted)
