import random
from fractions import Fraction

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.answers import AnswerChecker, Classes, Verdict, grade, group


class Oracle:
    """Letters are equal if their class is; some pairs it does not know."""

    def __init__(self, classes: dict[str, int], unknown: set[frozenset[str]] | None = None) -> None:
        self.classes = classes
        self.unknown = unknown or set()
        self.asked: list[frozenset[str]] = []

    async def equal(self, left: str, right: str) -> Verdict:
        pair = frozenset((left, right))
        self.asked.append(pair)
        if pair in self.unknown:
            return Verdict.UNKNOWN
        return Verdict.EQUAL if self.classes[left] == self.classes[right] else Verdict.UNEQUAL


def grouped(answers: list[str | None], oracle: Oracle) -> Classes:
    """What `group` gives; an oracle never waits, so no event loop is needed."""
    coroutine = group(answers, oracle)
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    result = stopped.value.value
    assert isinstance(result, Classes)
    return result


def partition(answers: list[str | None], classes: Classes) -> set[frozenset[str]]:
    members: dict[int, set[str]] = {}
    for answer, label in zip(answers, classes.labels, strict=True):
        if answer is not None and label is not None:
            members.setdefault(label, set()).add(answer)
    return {frozenset(each) for each in members.values()}


LETTERS = "abcdefgh"
CLASSES = st.fixed_dictionaries({letter: st.integers(0, 3) for letter in LETTERS})
ANSWERS = st.lists(st.none() | st.sampled_from(LETTERS), max_size=14)
PAIRS = st.sets(
    st.sets(st.sampled_from(LETTERS), min_size=2, max_size=2).map(frozenset), max_size=12
)


@given(CLASSES, ANSWERS)
def test_consistent_oracle_gives_its_own_classes(
    truth: dict[str, int], answers: list[str | None]
) -> None:
    oracle = Oracle(truth)
    classes = grouped(answers, oracle)
    for one, label in zip(answers, classes.labels, strict=True):
        assert (one is None) == (label is None)
        for other, other_label in zip(answers, classes.labels, strict=True):
            if one is not None and other is not None:
                assert (label == other_label) == (truth[one] == truth[other])
    assert classes.unknown == 0
    forms = {answer for answer in answers if answer is not None}
    assert len(oracle.asked) <= len(forms) * len(classes.representatives)


@given(CLASSES, PAIRS, ANSWERS, st.randoms(use_true_random=False))
def test_order_of_answers_does_not_change_the_partition(
    truth: dict[str, int],
    unknown: set[frozenset[str]],
    answers: list[str | None],
    chance: random.Random,
) -> None:
    shuffled = chance.sample(answers, len(answers))
    one = grouped(answers, Oracle(truth, unknown))
    other = grouped(shuffled, Oracle(truth, unknown))
    assert partition(answers, one) == partition(shuffled, other)
    assert one.unknown == other.unknown


@given(CLASSES, PAIRS, ANSWERS)
def test_unknown_never_merges_what_differs(
    truth: dict[str, int], unknown: set[frozenset[str]], answers: list[str | None]
) -> None:
    for members in partition(answers, grouped(answers, Oracle(truth, unknown))):
        assert len({truth[member] for member in members}) == 1


@given(CLASSES, ANSWERS)
def test_labels_index_the_representatives_in_order_of_occurrence(
    truth: dict[str, int], answers: list[str | None]
) -> None:
    classes = grouped(answers, Oracle(truth))
    seen = list(dict.fromkeys(label for label in classes.labels if label is not None))
    assert seen == list(range(len(classes.representatives)))
    for label, representative in enumerate(classes.representatives):
        voters = [a for a, b in zip(answers, classes.labels, strict=True) if b == label]
        assert voters.count(representative) == max(voters.count(voter) for voter in voters)


def test_empty_answers_never_vote() -> None:
    classes = grouped(["", "", "5", "5", None, " ", "$$"], Oracle({}))
    assert classes == Classes((None, None, 0, 0, None, None, None), ("5",), 0)


def test_nothing_to_group() -> None:
    assert grouped([], Oracle({})) == Classes((), (), 0)


def test_ties_are_represented_by_the_earliest_form() -> None:
    oracle = Oracle({"b": 0, "a": 0, "c": 1})
    assert grouped(["b", "a", "c"], oracle).representatives == ("b", "c")


def test_classes_that_could_not_be_compared_are_joined_by_what_equals_both() -> None:
    oracle = Oracle({"a": 0, "b": 0, "c": 0}, {frozenset("ab")})
    classes = grouped(["a", "a", "b", "b", "c"], oracle)
    assert classes == Classes((0, 0, 0, 0, 0), ("a",), 1)


def test_unknown_comparisons_are_reported() -> None:
    classes = grouped(["a", "b"], Oracle({"a": 0, "b": 0}, {frozenset("ab")}))
    assert classes == Classes((0, 1), ("a", "b"), 1)


def test_half_of_percent_does_not_join_half_and_fifty() -> None:
    async def main() -> Classes:
        async with AnswerChecker(workers=0) as checker:
            return await group(["0.5", r"50\%", "50", "1/2"], checker)

    assert anyio.run(main) == Classes((0, 1, 1, 0), ("0.5", r"50\%"), 0)


@given(st.lists(st.fractions(max_denominator=6, min_value=-2, max_value=2), max_size=12))
def test_rationals_group_by_value_without_a_worker(values: list[Fraction]) -> None:
    async def main() -> Classes:
        async with AnswerChecker() as checker:
            writings = [
                str(v) if i % 2 else f"\\frac{{{v.numerator}}}{{{v.denominator}}}"
                for i, v in enumerate(values)
            ]
            classes = await group(writings, checker)
            assert checker.workers_started == 0
            return classes

    classes = anyio.run(main)
    for one, label in zip(values, classes.labels, strict=True):
        for other, other_label in zip(values, classes.labels, strict=True):
            assert (one == other) == (label == other_label)


def test_algebra_groups_across_notations() -> None:
    answers = ["(x+1)^2", None, "x^2+2x+1", r"\{1,2\}", "x^2 + 2x + 1", r"\{2,1\}", "7"]

    async def main() -> Classes:
        async with AnswerChecker(deadline_seconds=20) as checker:
            return await group(answers, checker)

    assert anyio.run(main) == Classes((0, None, 0, 1, 0, 1, 2), ("x^2+2x+1", r"\{1,2\}", "7"), 0)


@pytest.mark.parametrize(
    ("answer", "reference", "verdict"),
    [
        (None, "5", Verdict.UNEQUAL),
        ("", "5", Verdict.UNEQUAL),
        ("5.0", "5", Verdict.EQUAL),
        ("5.0", "6", Verdict.UNEQUAL),
        ("x+1", "1+x", Verdict.UNKNOWN),
    ],
)
def test_grades(answer: str | None, reference: str, verdict: Verdict) -> None:
    async def main() -> Verdict:
        async with AnswerChecker(workers=0) as checker:
            return await grade(answer, reference, checker)

    assert anyio.run(main) is verdict
