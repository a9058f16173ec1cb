"""Votes on steps that are certain to be pruned are cancelled, and nothing else changes."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tts.budget.budget import UNLIMITED
from tts.contest import Contest
from tts.policy import LanguagePolicy
from tts.result import Result
from tts.run import Plan, Run
from tts.shares import ranked
from tts.strategy import Strategy
from tts.testing.bench import PROBLEM, Verbatim
from tts.testing.machine import Machine, Panel, Slotted, lognormal, stragglers
from tts.types import Key, Vote
from tts.verifier import Reduction
from tts_strategies.beam import Beam
from tts_strategies.dvts import DVTS


@dataclass
class Searched:
    result: Result
    seconds: float


def solve(strategy: Strategy, seed: int = 0, *, pace=stragglers, **panel: object) -> Searched:
    async def run() -> Searched:
        machine = Machine(16, pace)
        voters = Panel(machine, **{"votes": 4, **panel})
        policy = LanguagePolicy(Slotted(machine))
        result = await Run(PROBLEM, Plan(strategy, UNLIMITED, seed), policy, voters, Verbatim())()
        assert machine.idle
        return Searched(result, trio.current_time())

    clock = trio.testing.MockClock(autojump_threshold=0)
    begun = clock.current_time()
    searched = trio.run(run, clock=clock)
    searched.seconds -= begun
    return searched


def grown(result: Result) -> dict[Key, object]:
    return {node.key: (node.step, node.manner) for node in result.tree}


strategies = st.sampled_from(
    [
        (Beam(n=8, width=4), Beam(n=8, width=4, decisive=True)),
        (Beam(n=5, width=2), Beam(n=5, width=2, decisive=True)),
        (DVTS(n=8, width=4), DVTS(n=8, width=4, decisive=True)),
    ]
)


@given(
    strategies,
    st.integers(0, 999),
    st.integers(1, 6),
    st.sampled_from(list(Reduction)),
    st.sampled_from([stragglers, lognormal]),
)
def test_what_is_kept_and_answered_is_as_with_all_votes(
    pair: tuple[Strategy, Strategy], seed: int, votes: int, reduction: Reduction, pace
) -> None:
    whole, early = (
        solve(each, seed, votes=votes, reduction=reduction, pace=pace).result for each in pair
    )
    assert grown(early) == grown(whole)
    assert early.candidates == whole.candidates
    assert (early.answer, early.confidence) == (whole.answer, whole.confidence)
    assert early.spend.total.tokens <= whole.spend.total.tokens


def clear_cut(text: str) -> float:
    return 0.95 if random.Random(text).random() < 0.4 else 0.05


@pytest.mark.parametrize("of", [Beam, DVTS])
def test_votes_and_time_are_saved_and_less_is_wasted(of) -> None:
    def summed(decisive: bool) -> tuple[float, float, float]:
        strategy = of(n=16, width=4, decisive=decisive)
        all_of_them = [solve(strategy, seed, votes=8, likely=clear_cut) for seed in range(4)]
        return (
            sum(each.result.spend.verifier.output_tokens for each in all_of_them),
            sum(each.result.spend.waste.tokens for each in all_of_them),
            sum(each.seconds for each in all_of_them),
        )

    tokens, waste, seconds = (e / w for e, w in zip(summed(True), summed(False), strict=True))
    assert tokens < 0.99
    assert waste < 0.98
    assert seconds < 0.95


def test_a_pruned_step_keeps_the_votes_that_were_heard() -> None:
    result = solve(Beam(n=16, width=4, decisive=True), votes=8).result
    said = [node.judgement for node in result.tree if not node.finished]
    cut = [each for each in said if each is not None and "not waited for" in each.reason]
    assert cut
    for judgement in cut:
        assert 1 <= len(judgement.votes) < 8
        assert judgement.cost.output_tokens > 0
    assert result.abstained == 0


@given(
    st.lists(
        st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=3, max_size=3), min_size=1, max_size=7
    ),
    st.integers(0, 4),
    st.randoms(),
)
def test_whoever_is_cut_short_would_not_have_been_kept(
    votes: list[list[float]], keep: int, chance
) -> None:
    async def run() -> None:
        contest = Contest(keep)
        entered = [contest.enter((n,), [], Reduction.LAST) for n in range(len(votes))]
        told = [(n, heard) for n in range(len(votes)) for heard in (1, 2, 3)]
        chance.shuffle(told)
        for n, heard in told:
            if len(entered[n].votes) < heard:
                entered[n].hear(tuple(map(Vote, votes[n][:heard])), 3 - heard)
        order = sorted(range(len(votes)), key=lambda n: (-math.fsum(votes[n]) / 3, n))
        for n in order[:keep]:
            assert not entered[n].scope.cancel_called
        for n in order[keep:]:
            assert entered[n].scope.cancel_called

    trio.run(run)


def test_the_bar_is_the_order_in_which_prefixes_are_ranked() -> None:
    result = solve(Beam(n=8, width=2)).result
    nodes = list(result.tree)
    assert ranked(nodes) == sorted(nodes, key=lambda node: (-node.rank, node.key))


@pytest.mark.parametrize("reduction", Reduction)
def test_one_without_any_verdict_may_still_end_last(reduction: Reduction) -> None:
    async def run() -> None:
        contest = Contest(1)
        one = contest.enter((0,), [0.4], reduction)
        two = contest.enter((1,), [0.4], reduction)
        one.hear((Vote(None),), 1)
        assert (one.low, two.scope.cancel_called) == (-1.0, False)

    trio.run(run)
