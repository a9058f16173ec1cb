"""What is believed of answers, and what one more look would be worth."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.budget.evidence import Evidence, Tally, Witness
from tts.budget.worth import sampling, voting
from tts.errors import ConfigError

BLIND = Evidence(approves_right=0.5, approves_wrong=0.5)


def beliefs(evidence: Evidence, *solutions: Witness) -> list[float]:
    tally = Tally.of(solutions, evidence)
    return [float(p) for p in evidence.beliefs(tally.counts, tally.weights, tally.without)]


def partitions(items: int) -> list[tuple[int, ...]]:
    """Every way to give answers to solutions: labels in the order of their first use."""
    found = []
    for labels in itertools.product(range(items), repeat=items):
        seen = list(dict.fromkeys(labels))
        if seen == list(range(len(seen))):
            found.append(labels)
    return found


def likelihood(evidence: Evidence, labels: tuple[int, ...], right: int | None) -> float:
    """P(these answers, and which of them is right), one solution after the other."""
    alpha, beta, theta = evidence.successes, evidence.failures, evidence.scatter
    total, hits, misses = 1.0, 0, 0
    tables: dict[int, int] = {}
    for label in labels:
        whole = alpha + beta + hits + misses
        if label == right:
            total *= (alpha + hits) / whole
            hits += 1
            continue
        total *= (beta + misses) / whole
        wrong = sum(tables.values())
        total *= tables.get(label, theta) / (theta + wrong)
        tables[label] = tables.get(label, 0) + 1
        misses += 1
    return total


@pytest.mark.parametrize("labels", partitions(5))
def test_beliefs_are_the_posterior_of_the_process_that_writes_solutions(
    labels: tuple[int, ...],
) -> None:
    evidence = Evidence(0.5, 0.5, successes=1.5, failures=0.7, scatter=2.5)
    joint = [likelihood(evidence, labels, right) for right in (*range(max(labels) + 1), None)]
    expected = [each / sum(joint) for each in joint]
    found = beliefs(evidence, *(Witness(label) for label in labels))
    assert found == pytest.approx(expected)


def test_a_yes_and_a_no_are_weighed_by_bayes_rule() -> None:
    evidence = Evidence(approves_right=0.8, approves_wrong=0.3)
    yes, no = Witness(0, 1.0, 1), Witness(0, 0.0, 1)
    prior = beliefs(evidence, Witness(0))[0]
    for said, ratio in ((yes, 0.8 / 0.3), (no, 0.2 / 0.7)):
        odds = prior / (1 - prior) * ratio
        assert beliefs(evidence, said)[0] == pytest.approx(odds / (1 + odds))


def test_a_second_vote_counts_less_than_the_first_one_and_never_less_than_nothing() -> None:
    for correlation in (0.0, 0.3, 1.0):
        evidence = Evidence(correlation=correlation)
        counted = [evidence.independent(votes) for votes in range(6)]
        gains = [after - before for before, after in itertools.pairwise(counted)]
        assert gains[0] == 1
        assert all(-1e-12 <= later <= earlier for earlier, later in itertools.pairwise(gains))
    assert Evidence(correlation=1.0).independent(9) == pytest.approx(1.0)
    assert Evidence(correlation=0.0).independent(9) == 9


def test_without_a_verifier_the_most_frequent_answer_is_most_probable() -> None:
    found = beliefs(BLIND, *(Witness(label) for label in (0, 1, 1, 2, 1)))
    assert found.index(max(found)) == 1


def test_a_solution_without_an_answer_is_a_wrong_one() -> None:
    one = beliefs(BLIND, Witness(0))
    beside_it = beliefs(BLIND, Witness(0), Witness(None), Witness(None))
    assert beside_it[0] < one[0]


labelled = st.lists(
    st.builds(
        Witness,
        st.one_of(st.none(), st.integers(0, 5)),
        st.one_of(st.none(), st.floats(0, 1)),
        st.integers(0, 8),
    ),
    max_size=12,
)


@given(labelled)
def test_beliefs_are_probabilities_whatever_was_said(solutions: list[Witness]) -> None:
    evidence = Evidence()
    tally = Tally.of(solutions, evidence)
    found = evidence.beliefs(tally.counts, tally.weights, tally.without)
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()
    assert (found[:-1][tally.counts == 0] == 0).all()


@settings(max_examples=25, deadline=None)
@given(labelled, st.integers(0, 2**32))
def test_nothing_is_worth_less_than_nothing(solutions: list[Witness], seed: int) -> None:
    evidence, rng = Evidence(), np.random.default_rng(seed)
    tally = Tally.of(solutions, evidence)
    offers = sampling(tally, evidence, rng, verified=True)
    for label, count in enumerate(tally.counts):
        if count:
            offers += voting(tally, evidence, rng, label, [0] * int(count))
    assert all(0 <= offer.gain <= 1 for offer in offers)


def test_votes_of_a_verifier_that_knows_nothing_are_worth_nothing() -> None:
    rng = np.random.default_rng(0)
    tally = Tally.of([Witness(0), Witness(1)], BLIND)
    assert all(offer.gain == 0 for offer in voting(tally, BLIND, rng, 0, [0]))


def test_a_vote_is_worth_most_where_two_answers_stand_alike() -> None:
    evidence, rng = Evidence(), np.random.default_rng(0)
    close = Tally.of([Witness(0), Witness(0), Witness(1), Witness(1)], evidence)
    clear = Tally.of([Witness(0)] * 9 + [Witness(1)], evidence)
    (one, *_), (other, *_) = (
        voting(tally, evidence, rng, 0, [0] * int(tally.counts[0])) for tally in (close, clear)
    )
    assert one.gain > 3 * other.gain


def test_the_promised_gain_is_the_gain_that_comes() -> None:
    """Played out in full, believing as one samples: what is promised is what is got on average."""
    evidence, rng = Evidence(), np.random.default_rng(3)
    tally = Tally.of([Witness(0), Witness(1), Witness(1)], evidence)
    now = evidence.beliefs(tally.counts, tally.weights, 0)
    rises = []
    for _ in range(4000):
        truth = rng.choice(3, p=now)
        rate = evidence.approves_right if truth == 0 else evidence.approves_wrong
        weights = tally.weights.copy()
        weights[0] += evidence.yes if rng.random() < rate else evidence.no
        then = evidence.beliefs(tally.counts, weights, 0)[:-1]
        rises.append(float(truth == then.argmax()) - float(truth == now[:-1].argmax()))
    (offer,) = voting(tally, evidence, np.random.default_rng(0), 0, [0])
    error = float(np.std(rises)) / math.sqrt(len(rises))
    assert abs(offer.gain - float(np.mean(rises))) < 3 * error + 0.03


@pytest.mark.parametrize(
    "knobs",
    [{"approves_right": 1.0}, {"approves_wrong": 0.0}, {"correlation": 1.1}, {"scatter": 0.0}],
)
def test_rates_that_are_no_rates_are_refused(knobs: dict[str, float]) -> None:
    name, value = next(iter(knobs.items()))
    with pytest.raises(ConfigError, match=f"{name}={value}"):
        Evidence(**knobs)
