"""What is believed of answers, and what one more look would be worth."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.budget.evidence import Evidence, Tally, Witness
from tts.budget.worth import Ballot, Draft, Offer, Outlay, mending, sampling, voting
from tts.errors import ConfigError

BLIND = Evidence(approves_right=0.5, approves_wrong=0.5)
OUTLAY = Outlay(sample=1.0, vote=3.0)
BALLOTS = [Ballot(), Ballot(0.25, 0.5), Ballot(votes=1, price=0.5), Ballot(votes=2, price=0.5)]


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
        st.floats(0, 1),
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


@settings(max_examples=25)
@given(labelled, st.integers(0, 2**32))
def test_nothing_is_worth_less_than_nothing(solutions: list[Witness], seed: int) -> None:
    evidence, rng = Evidence(), np.random.default_rng(seed)
    tally = Tally.of(solutions, evidence)
    offers = sampling(tally, evidence, rng, OUTLAY, verified=True)
    for label in np.flatnonzero(tally.counts):
        offers += voting(tally, evidence, rng, OUTLAY, int(label), BALLOTS)
        for draft in (Draft(int(label), BALLOTS[0]), Draft(int(label), rest=0.3, failures=2)):
            offers += mending(tally, evidence, rng, OUTLAY, draft)
    assert all(0 <= offer.gain <= 1 and offer.price >= 0 for offer in offers)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 5))
def test_what_is_resumed_is_as_good_as_new_or_better(
    chance: float, rest: float, failures: int
) -> None:
    sharp = Evidence(0.99, 0.01)
    mended = [sharp.mended(chance, rest, failed) for failed in (failures, failures + 1)]
    assert 0 <= mended[1] <= mended[0] <= 1  # what failed there makes it less likely
    assert sharp.mended(chance, rest, 0) >= 0.97 * chance
    # Whoever sees no errors cannot say where to resume.
    assert BLIND.mended(chance, rest, 0) <= chance


@given(st.floats(0, 1))
def test_a_vote_cut_off_counts_for_what_it_saw(covered: float) -> None:
    evidence = Evidence(0.9, 0.2)
    approved = [evidence.weight(Witness(0, 1.0, 1, share)) for share in (0.0, covered, 1.0)]
    assert approved == sorted(approved)
    assert approved[0] == 0
    assert approved[2] == pytest.approx(math.log(0.9 / 0.2))
    # By the rule of Bayes, from errors that are equally likely anywhere.
    right, wrong = 1 - 0.1 * covered, 1 - 0.8 * covered
    assert approved[1] == pytest.approx(math.log(right / wrong))
    denied = evidence.weight(Witness(0, 0.0, 1, covered))
    assert denied == pytest.approx(math.log(0.1 / 0.8))


def test_votes_of_a_verifier_that_knows_nothing_are_worth_nothing() -> None:
    rng = np.random.default_rng(0)
    tally = Tally.of([Witness(0), Witness(1)], BLIND)
    assert all(offer.gain == 0 for offer in voting(tally, BLIND, rng, OUTLAY, 0, BALLOTS[:1]))


def test_a_vote_is_worth_most_where_two_answers_stand_alike() -> None:
    evidence, rng = Evidence(), np.random.default_rng(0)
    close = Tally.of([Witness(0), Witness(0), Witness(1), Witness(1)], evidence)
    clear = Tally.of([Witness(0)] * 9 + [Witness(1)], evidence)
    (one, *_), (other, *_) = (
        voting(tally, evidence, rng, OUTLAY, 0, BALLOTS[:1]) for tally in (close, clear)
    )
    assert one.gain > 3 * other.gain


@dataclass
class World:
    """One in which one answer is right, for playing it out by hand."""

    evidence: Evidence
    rng: np.random.Generator
    solutions: list[Witness]
    truth: int

    def sample(self) -> None:
        """By the process of `likelihood`, one solution after the other."""
        evidence, labels = self.evidence, [each.label for each in self.solutions]
        hits = labels.count(self.truth)
        chance = (evidence.successes + hits) / (
            evidence.successes + evidence.failures + len(labels)
        )
        if self.rng.random() < chance:
            self.solutions.append(Witness(self.truth))
            return
        wrong = [label for label in labels if label != self.truth]
        new = max(self.truth, *(label for label in labels if label is not None)) + 1
        if self.rng.random() < evidence.scatter / (evidence.scatter + len(wrong)):
            self.solutions.append(Witness(new))
        else:
            self.solutions.append(Witness(self.rng.choice(wrong)))

    def vote(self, index: int = -1) -> None:
        """One by one, on all of it, or on what the first vote has not got to."""
        evidence, said = self.evidence, self.solutions[index]
        right = self.truth == said.label
        rate = evidence.approves_right if right else evidence.approves_wrong
        begun = 0 < said.covered < 1
        approved = self.rng.random() < (rate / (1 - (1 - rate) * said.covered) if begun else rate)
        votes = 1 if begun else said.votes + 1
        before = 0.0 if begun else (said.score or 0.0) * said.votes
        self.solutions[index] = Witness(said.label, (before + approved) / votes, votes)


def sample_and_vote(world: World) -> None:
    world.sample()
    world.vote()


def heard(votes: int, score: float, covered: float = 1.0) -> list[Witness]:
    return [Witness(0, score, votes, covered), Witness(1)]


PLAIN = [Witness(0), Witness(1)]
PLAYS: list[tuple[list[Witness], Callable[[World], None], Callable[..., list[Offer]]]] = [
    (PLAIN, World.sample, sampling),
    (PLAIN, sample_and_vote, partial(sampling, verified=True)),
    (PLAIN, lambda world: world.vote(0), partial(voting, label=0, ballots=[Ballot()])),
    (
        heard(1, 1.0, 0.5),
        lambda world: world.vote(0),
        partial(voting, label=0, ballots=[Ballot(0.5)]),
    ),
    (
        heard(2, 0.5),
        lambda world: world.vote(0),
        partial(voting, label=0, ballots=[Ballot(votes=2, score=0.5)]),
    ),
]


@pytest.mark.parametrize(("given", "play", "offer"), PLAYS)
def test_the_promised_gain_is_the_gain_that_comes(
    given: list[Witness],
    play: Callable[[World], None],
    offer: Callable[..., list[Offer]],
) -> None:
    """Played out by hand, believing as `Tally` does: what is promised is got on average."""
    evidence, rng = Evidence(0.8, 0.2, correlation=0.0), np.random.default_rng(3)
    tally = Tally.of(given, evidence)
    now = evidence.beliefs(tally.counts, tally.weights, tally.without)
    rises = []
    for _ in range(8000):
        world = World(evidence, rng, list(given), int(rng.choice(3, p=now)))
        play(world)
        then = beliefs(evidence, *world.solutions)[:-1]
        right = float(world.truth == np.argmax(then))
        rises.append(right - float(world.truth == now[:-1].argmax()))
    promised = np.mean(
        [offer(tally, evidence, np.random.default_rng(seed), OUTLAY)[0].gain for seed in range(50)]
    )
    error = float(np.std(rises)) / math.sqrt(len(rises))
    assert promised > 0.01
    assert promised == pytest.approx(np.mean(rises), abs=3 * error + 0.002)


def test_one_more_vote_is_worth_what_it_can_change() -> None:
    """Votes that say the same again are worth nothing, those that can contradict are."""
    rng, gains = np.random.default_rng(0), {}
    for correlation in (0.0, 0.5, 1.0):
        evidence = Evidence(0.9, 0.2, correlation=correlation)
        tally = Tally.of([Witness(0, 1.0, 1), Witness(1)], evidence)
        (offer,) = voting(tally, evidence, rng, OUTLAY, 0, [Ballot(votes=1, score=1.0)])
        gains[correlation] = offer.gain
    assert gains[0.0] > gains[0.5] > gains[1.0] == 0


@pytest.mark.parametrize("covered", [0.0, 0.75])
def test_a_plan_is_expected_to_take_what_it_takes(covered: float) -> None:
    """With a verifier that is nearly always right, by hand."""
    sharp = Evidence(0.999, 0.001)
    tally = Tally.of([Witness(0, 1.0, 1, covered)], sharp)
    p = sharp.beliefs(tally.counts, tally.weights, tally.without)[0]
    rng = np.random.default_rng(0)
    seen, revised, *_ = zip(
        *(mending(tally, sharp, rng, OUTLAY, Draft(0, Ballot(covered))) for _ in range(40)),
        strict=True,
    )
    # All the rest is read where it is right, half of it on average where not, and written anew.
    rest = 1 - covered
    expected = rest * (p * OUTLAY.vote + (1 - p) * (OUTLAY.vote + OUTLAY.sample) / 2)
    assert np.mean([offer.price for offer in seen]) == pytest.approx(expected, rel=0.03)
    assert np.mean([offer.gain for offer in revised]) > 0.1
    assert revised[0].actions == 3


def test_a_vote_takes_what_there_is_for_it() -> None:
    sharp, rng = Evidence(0.999, 0.999), np.random.default_rng(0)
    tally = Tally.of([Witness(0, 1.0, 1), Witness(1)], sharp)
    (half,) = voting(tally, sharp, rng, OUTLAY, 1, [Ballot(0.0, 0.5)])
    assert half.price == pytest.approx(OUTLAY.vote / 2, rel=0.01)
    poor = Outlay(sample=1.0, vote=3.0, rest=0.75)
    (cut,) = voting(tally, sharp, rng, poor, 1, [Ballot()])
    assert cut.price == pytest.approx(0.75, rel=0.01)
    (none,) = voting(tally, sharp, rng, poor, 0, [Ballot(votes=1, price=0.8)])
    assert (none.price, none.gain) == (0, 0)
    (one, two) = voting(tally, sharp, rng, poor, 0, [Ballot(votes=1, price=0.5)] * 2)
    assert one.price == two.price == 0.5


def test_what_was_found_wrong_is_worth_more_to_resume_late() -> None:
    sharp, rng = Evidence(0.99, 0.01), np.random.default_rng(0)
    tally = Tally.of([Witness(0, 0.0, 1)], sharp)
    late, early, anew = (
        mending(tally, sharp, rng, OUTLAY, draft)[1]
        for draft in (Draft(0, rest=0.2), Draft(0, rest=0.9), Draft(0, rest=0.2, resumes=False))
    )
    assert late.price < early.price < anew.price
    assert late.gain / late.price > 2 * early.gain / early.price


@pytest.mark.parametrize(
    "knobs",
    [{"approves_right": 1.0}, {"approves_wrong": 0.0}, {"correlation": 1.1}, {"scatter": 0.0}],
)
def test_rates_that_are_no_rates_are_refused(knobs: dict[str, float]) -> None:
    name, value = next(iter(knobs.items()))
    with pytest.raises(ConfigError, match=f"{name}={value}"):
        Evidence(**knobs)
