"""Traffic follows from strategies' own bills, and agrees with what searches do."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.errors import ConfigError
from tts.paper import Bill
from tts.registry import load, names
from tts.serving.traffic import (
    Lengths,
    Work,
    evaluated,
    policy_traffic,
    verifier_traffic,
    work_of,
)
from tts.testing import Bench

LENGTHS = Lengths(prompt=10, step=5, depth=3, question=20, vote=7)
counts = st.integers(1, 64)


def work(strategy: object, votes: int | None = None, lengths: Lengths = LENGTHS) -> Work:
    knobs = {field.name: getattr(strategy, field.name) for field in fields(strategy)}  # type: ignore[arg-type]
    return work_of(strategy.bill, knobs, lengths, votes)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [each for each in names("strategies") if each != "table"])
def test_every_installed_strategy_can_be_planned(name):
    done = work(load("strategies", name)())
    assert done.steps >= done.judged >= 1
    assert done.steps >= done.chains >= 1


@pytest.mark.parametrize(
    ("name", "knobs", "votes"),
    [
        ("split", {"samples": 4, "votes": 3}, 3),
        ("voi", {"at_most": 4, "votes": 2}, 2),
        ("by_law", {"at_most": 4, "votes_at_one": 1.5, "exponent": 1.0}, 6),
        ("by_law", {"at_most": 4, "votes_at_one": 0.1, "exponent": 0.0}, 1),
    ],
)
def test_a_strategy_that_decides_on_votes_is_believed_and_counts_them_as_no_steps(
    name, knobs, votes
):
    strategy = load("strategies", name)(**knobs)
    done = work(strategy)
    assert (done.steps, done.judged, done.votes) == (4 * 3, 4 * 3, votes)
    with pytest.raises(ConfigError, match="votes=1: the strategy itself decides"):
        work(strategy, votes=1)


def test_what_has_no_votes_is_not_judged():
    split = load("strategies", "split")
    unverified = work(split(samples=4, votes=0))
    assert (unverified.steps, unverified.judged) == (12, 0)
    assert verifier_traffic(unverified, LENGTHS).output == 0


@pytest.mark.parametrize(("name", "knobs"), [("beam", {"n": 6, "width": 3}), ("dvts", {"n": 8})])
def test_steps_and_verdicts_are_those_of_a_search_of_that_depth(name, knobs):
    strategy = load("strategies", name)(**knobs)

    def three_steps(text: str, seed: int) -> str:
        return f"{seed % 97}\n\n" * (2 - text.count("\n\n")) + f"\\boxed{{{seed % 7}}}"

    result = Bench(three_steps).solve(strategy)
    nodes = [node for node in result.tree if node.step is not None]
    done = work(strategy)
    assert len(nodes) == done.steps
    assert sum(node.judgement is not None for node in nodes) == done.judged
    assert done.exact


def test_a_trie_holds_each_sampled_step_once():
    done = Work(steps=6, judged=6, votes=2, chains=2.0, exact=True)
    policy = policy_traffic(done, LENGTHS)
    assert (policy.output, policy.trie) == (6 * 5, 10 + 6 * 5)
    assert policy.longest == 10 + 3 * 5
    verifier = verifier_traffic(done, LENGTHS)
    assert verifier.output == 6 * 2 * 7
    assert verifier.computed == 20 + 6 * 5
    assert verifier.trie == 20 + 6 * (5 + 2 * 7)
    assert verifier.sequences == 2.0 * 2


def test_who_only_scores_writes_nothing_and_reads_every_prefix_anew():
    done = Work(steps=6, judged=6, votes=1, chains=2.0, exact=True)
    scores = verifier_traffic(done, Lengths(prompt=10, step=5, depth=3, question=20, vote=0))
    assert scores.output == 0
    # Two judged at each of three depths: 20 + 5, 20 + 10 and 20 + 15 tokens.
    assert scores.computed == 2 * (25 + 30 + 35)


@given(counts, counts, counts, counts)
def test_traffic_grows_with_votes_and_width(n, more, votes, more_votes):
    bill = Bill("n * depth", "n * depth")

    def asked(n: int, votes: int) -> tuple[int, ...]:
        done = work_of(bill, {"n": n}, LENGTHS, votes)
        policy, verifier = policy_traffic(done, LENGTHS), verifier_traffic(done, LENGTHS)
        return (policy.output, policy.trie, verifier.output, verifier.trie, verifier.computed)

    base = asked(n, votes)
    wider, voted = asked(n + more, votes), asked(n, votes + more_votes)
    assert all(after > before for before, after in zip(base, wider, strict=True))
    assert all(after >= before for before, after in zip(base, voted, strict=True))
    assert voted[2] > base[2]


@given(counts, counts, counts)
def test_a_bill_is_arithmetic(n, width, depth):
    expression = "max(1, n // width) * width * depth + (n - 1)"
    knobs = {"n": n, "width": width, "depth": depth}
    assert evaluated(expression, knobs) == max(1, n // width) * width * depth + (n - 1)


def test_a_bill_is_rounded_up():
    assert evaluated("1 + 0.5 * n ** 0.5", {"n": 10}) == 3


@pytest.mark.parametrize("expression", ["open('x')", "n +", "m", "n.real", "'1'"])
def test_what_is_no_arithmetic_is_not_evaluated(expression):
    with pytest.raises(ConfigError, match="bill"):
        evaluated(expression, {"n": 3})


def test_lengths_and_votes_make_sense():
    with pytest.raises(ConfigError, match="step=0"):
        Lengths(step=0)
    with pytest.raises(ConfigError, match="votes=0"):
        work_of(Bill("n", "n"), {"n": 1}, LENGTHS, 0)
