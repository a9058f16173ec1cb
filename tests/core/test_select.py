"""Selectors: classes of equal answers vote, missing answers never do."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.select import SELECTORS, Candidate, Selector, best, majority, weighted


def candidate(number: int, label: int | None, score: float | None = None) -> Candidate:
    answer = None if label is None else str(label)
    return Candidate((number,), f"text {number}", answer, label, score)


def test_majority_counts_votes() -> None:
    choice = majority([candidate(0, 1), candidate(1, 2), candidate(2, 2)])
    assert choice is not None
    assert (choice.candidate.label, choice.share) == (2, pytest.approx(2 / 3))


def test_a_missing_answer_never_votes() -> None:
    choice = majority([candidate(0, None), candidate(1, None), candidate(2, 5)])
    assert choice is not None
    assert (choice.candidate.label, choice.share) == (5, 1.0)


def test_weights_can_overrule_numbers() -> None:
    crowd = [candidate(0, 1, 0.1), candidate(1, 1, 0.1), candidate(2, 2, 0.9)]
    choice = weighted(crowd)
    assert choice is not None
    assert choice.candidate.label == 2
    assert choice.share == pytest.approx(0.9 / 1.1)


def test_an_unjudged_candidate_weighs_as_much_as_the_average_one() -> None:
    doubted = [candidate(0, 1, 0.001), candidate(1, 2), candidate(2, 2)]
    choice = weighted(doubted)
    assert choice is not None
    assert (choice.candidate.label, choice.share) == (2, pytest.approx(2 / 3))


def test_what_verdicts_are_not_about_weighs_as_much_as_the_average_candidate() -> None:
    begun = replace(candidate(0, 1, 1.0), covered=0.25)
    crowd = [begun, candidate(1, 2, 0.8), candidate(2, 3, 0.2)]
    choice = weighted(crowd)
    assert choice is not None
    assert choice.candidate.label == 2  # 0.25 * 1 + 0.75 * 0.5 = 0.625 against 0.8
    assert choice.share == pytest.approx(0.8 / 1.625)
    assert best(crowd) is not None
    assert best(crowd).candidate.label == 2
    assert best([begun]).candidate is begun


def test_a_vote_that_was_cut_off_makes_an_answer_less_probable_than_a_whole_one() -> None:
    begun = replace(candidate(0, 1, 1.0), votes=1, covered=0.25)
    whole = replace(candidate(1, 2, 1.0), votes=1)
    choice = SELECTORS["probable"]([begun, whole])
    assert choice is not None
    assert choice.candidate is whole
    # Even so it is more probable than one that nobody has voted on.
    choice = SELECTORS["probable"]([candidate(2, 3), begun])
    assert choice is not None
    assert choice.candidate is begun


def test_the_winning_class_is_spoken_for_by_its_best_member() -> None:
    choice = weighted([candidate(0, 1, 0.5), candidate(1, 1, 0.7), candidate(2, 1, None)])
    assert choice is not None
    assert choice.candidate.key == (1,)


def test_best_takes_the_highest_score_and_reports_its_votes() -> None:
    choice = best([candidate(0, 1, 0.5), candidate(1, 2, 0.9), candidate(2, 1, 0.5)])
    assert choice is not None
    assert (choice.candidate.label, choice.share) == (2, pytest.approx(1 / 3))


def test_without_any_score_all_selectors_are_majority() -> None:
    crowd = [candidate(0, 1), candidate(1, 2), candidate(2, 2)]
    assert best(crowd) == weighted(crowd) == majority(crowd)


def test_scores_of_zero_do_not_silence_everybody() -> None:
    choice = weighted([candidate(0, 1, 0.0), candidate(1, 1, 0.0)])
    assert choice is not None
    assert choice.candidate.label == 1


candidates = st.lists(
    st.builds(
        candidate,
        st.integers(0, 99),
        st.none() | st.integers(0, 3),
        st.none() | st.floats(0, 1),
    )
)


@given(candidates, st.sampled_from(sorted(SELECTORS)))
def test_somebody_is_chosen_if_and_only_if_there_is_an_answer(
    crowd: list[Candidate], name: str
) -> None:
    selector: Selector = SELECTORS[name]
    choice = selector(crowd)
    assert (choice is None) == all(each.label is None for each in crowd)
    if choice is not None:
        assert choice.candidate in crowd
        assert choice.candidate.label is not None
        assert 0 < choice.share <= 1 + 1e-9
