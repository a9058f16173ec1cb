"""Grouping: which candidates gave the same answer, so that votes can be counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import anyio

from tts.answers.equivalence import Verdict, normalise


class Comparer(Protocol):
    """What grouping needs of an `AnswerChecker`."""

    async def equal(self, left: str, right: str) -> Verdict: ...


@dataclass(frozen=True, slots=True)
class Classes:
    """A partition of answers."""

    labels: tuple[int | None, ...]
    """Per answer, its class; classes are numbered as they first occur. None: no answer, no vote."""
    representatives: tuple[str, ...]
    """Per class, its most frequent form as first written; of equally frequent ones the earliest."""
    unknown: int
    """Comparisons that gave UNKNOWN. Their answers were kept apart, so votes may be split."""


async def group(answers: Sequence[str | None], checker: Comparer) -> Classes:
    """Partition `answers` into classes of equal ones; None and empty answers are in no class.

    Each form of answer is compared with one representative of each class, the most frequent forms
    first, until one is EQUAL. Where two classes could not be told apart (UNKNOWN), a later form
    that is EQUAL to both joins them. The order of comparisons depends only on which forms occur
    how often, so the partition does not depend on the order of `answers`.
    """
    forms = [None if answer is None else normalise(answer) or None for answer in answers]
    counts = Counter(form for form in forms if form is not None)
    partition, unknown = await _partition(counts, checker)

    first: dict[str, int] = {}
    for index, form in enumerate(forms):
        if form is not None:
            first.setdefault(form, index)
    partition.sort(key=lambda members: min(first[form] for form in members))
    label = {form: index for index, members in enumerate(partition) for form in members}
    chosen = [min(members, key=lambda form: (-counts[form], first[form])) for members in partition]
    return Classes(
        labels=tuple(None if form is None else label[form] for form in forms),
        representatives=tuple((answers[first[form]] or "").strip() for form in chosen),
        unknown=unknown,
    )


class Roll:
    """Classes of equal answers while more are still to come: what is once in a class stays there.

    A new form is compared with the first form of each class, oldest first, and joins the first one
    that is EQUAL. So labels are stable, where `group`, which sees all answers, may join two classes
    by a third form.
    """

    def __init__(self, checker: Comparer) -> None:
        self._checker = checker
        self._labels: dict[str, int] = {}  # by normal form
        self._firsts: list[str] = []  # of each class
        self._turn = anyio.Lock()  # two new equal answers at once must not become two classes

    async def label(self, answer: str | None) -> int | None:
        """The class of `answer`, numbered as they come; None for no answer and an empty one."""
        form = None if answer is None else normalise(answer) or None
        if form is None:
            return None
        async with self._turn:
            if form not in self._labels:
                self._labels[form] = await self._find(form)
            return self._labels[form]

    async def _find(self, form: str) -> int:
        for label, first in enumerate(self._firsts):
            if await self._checker.equal(first, form) is Verdict.EQUAL:
                return label
        self._firsts.append(form)
        return len(self._firsts) - 1


async def grade(answer: str | None, reference: str, checker: Comparer) -> Verdict:
    """Whether `answer` is `reference`. A missing or empty answer is UNEQUAL to any reference."""
    if answer is None or not normalise(answer):
        return Verdict.UNEQUAL
    return await checker.equal(answer, reference)


async def _partition(counts: Counter[str], checker: Comparer) -> tuple[list[list[str]], int]:
    """The classes of the forms in `counts`, and how many comparisons were UNKNOWN."""
    classes: list[list[str]] = []
    undecided: set[frozenset[str]] = set()  # pairs of classes, named by their first forms
    unknown = 0
    for form in sorted(counts, key=lambda form: (-counts[form], len(form), form)):
        home: list[str] | None = None
        unsure: list[str] = []
        for each in tuple(classes):
            if home is not None and frozenset((home[0], each[0])) not in undecided:
                continue
            verdict = await checker.equal(each[0], form)
            if verdict is Verdict.UNKNOWN:
                unknown += 1
                unsure.append(each[0])
            elif verdict is Verdict.EQUAL and home is None:
                home = each
                home.append(form)
            elif verdict is Verdict.EQUAL and home is not None:
                home.extend(each)
                classes.remove(each)
        if home is None:
            classes.append([form])
            undecided.update(frozenset((form, name)) for name in unsure)
    return classes, unknown
