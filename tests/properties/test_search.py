"""Searches under random budgets, seeds and timings."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.backends.base import Dialect
from tts.budget.budget import Budget
from tts.seeds import node_seed, vote_seed
from tts.strategy import Strategy
from tts.testing import Bench
from tts.testing.bench import Opinions, shape
from tts_strategies.ab_mcts import ABMCTS
from tts_strategies.adaptive_consistency import AdaptiveConsistency
from tts_strategies.beam import Beam
from tts_strategies.best_of_n import BestOfN
from tts_strategies.deepconf import DeepConf
from tts_strategies.dvts import DVTS
from tts_strategies.eager_beam import EagerBeam
from tts_strategies.early_stopping import EarlyStopping
from tts_strategies.ets import ETS
from tts_strategies.lookahead import Lookahead
from tts_strategies.particles import Particles
from tts_strategies.rebase import Rebase
from tts_strategies.refine import Refine
from tts_strategies.rstar import RStar

many = settings(max_examples=3 * settings().max_examples)
strategies = st.sampled_from(
    [
        ABMCTS(n=6, at_once=3),
        AdaptiveConsistency(n=7, at_once=3),
        Beam(n=2, width=4),
        Beam(n=5, width=4),
        Beam(n=6, width=2),
        BestOfN(n=6),
        DVTS(n=6, width=3),
        DeepConf(n=7, warmup=3, window=16, at_once=2),
        ETS(n=5),
        EagerBeam(n=6, width=2),
        EarlyStopping(n=7, window=3),
        Lookahead(n=4, width=2, steps=2),
        Particles(n=4, sweeps=2),
        RStar(rollouts=4, actions=3),
        Rebase(n=5),
        Refine(n=3, turns=2),
    ]
)
dialects = st.sampled_from(
    [None, Dialect(system="Think.", user="{problem}", step_tokens=64, answer_tokens=400)]
)
budgets = st.builds(
    Budget,
    tokens=st.none() | st.integers(1, 4_000),
    flops=st.none() | st.integers(1, 8_000_000),
    samples=st.none() | st.integers(1, 60),
    calls=st.none() | st.integers(1, 90),
    usd=st.none() | st.floats(1e-6, 0.003),
)


def timing(seed: int):
    """Delays that depend on the sample, differently for each `seed`."""
    return lambda request, sample: random.Random(sample ^ seed).choice([0.0, 0.1, 0.1, 3.0])


@many
@given(strategies, dialects, budgets, st.integers(0, 99), st.sampled_from([0, 0, 1, 9]))
def test_books_and_replay_hold_at_any_budget_and_timing(
    strategy: Strategy, dialect: Dialect | None, budget: Budget, seed: int, ahead: int
) -> None:
    bench = Bench(delay=timing(seed), seed=seed, dialect=dialect, speculate=ahead)
    bench.solve(strategy, budget)  # checks itself


@many
@given(strategies, dialects, st.integers(0, 99), st.integers(1, 9), st.sampled_from([0.01, 2.0]))
def test_speculation_changes_no_sample_and_no_answer(
    strategy: Strategy, dialect: Dialect | None, seed: int, ahead: int, verdict: float
) -> None:
    plain, ahead_of_it = (
        Bench(
            delay=timing(seed),
            seed=seed,
            dialect=dialect,
            verifier=Opinions(seconds=verdict),
            speculate=number,
        ).solve(strategy)
        for number in (0, ahead)
    )
    assert shape(plain.tree) == shape(ahead_of_it.tree)
    assert (plain.answer, plain.candidates) == (ahead_of_it.answer, ahead_of_it.candidates)
    kept = ahead_of_it.spend.total.tokens - ahead_of_it.spend.waste.tokens
    assert kept == plain.spend.total.tokens - plain.spend.waste.tokens


@many
@given(strategies, dialects, st.integers(0, 99), st.integers(0, 99), st.integers(0, 9))
def test_timing_changes_nothing(
    strategy: Strategy, dialect: Dialect | None, one: int, other: int, seed: int
) -> None:
    results = [
        Bench(delay=timing(t), seed=seed, dialect=dialect).solve(strategy) for t in (one, other)
    ]
    trees = [shape(result.tree) for result in results]
    assert trees[0] == trees[1]
    chosen = [(result.answer, result.best, result.candidates) for result in results]
    assert chosen[0] == chosen[1]


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 9))
def test_a_tie_does_not_go_to_the_first_to_finish(one: int, other: int, seed: int) -> None:
    answers = {
        Bench(delay=timing(t), seed=seed, verifier=None).solve(BestOfN(n=4)).answer
        for t in (one, other)
    }
    assert len(answers) == 1


@given(strategies, st.integers(0, 9))
def test_another_seed_gives_other_samples(strategy: Strategy, seed: int) -> None:
    one, other = (shape(Bench(seed=s).solve(strategy).tree) for s in (seed, seed + 1))
    assert one != other


@pytest.mark.parametrize("strategy", [BestOfN(n=9), DVTS(n=6, width=3), Beam(n=6, width=2)])
def test_more_budget_never_removes_a_node(strategy: Strategy) -> None:
    whole = shape(Bench(delay=None).solve(strategy).tree)
    for tokens in (100, 400, 900, 2_000):
        part = Bench(delay=None).solve(strategy, Budget(tokens=tokens)).tree
        # What a spent budget finishes by itself is written in one piece, under the same seeds.
        grown = {key: value for key, value in shape(part).items() if value[1] is not None}
        assert grown.items() <= whole.items()


@given(st.lists(st.integers(0, 50), max_size=6), st.integers(0, 2**40))
def test_seeds_differ_by_path_and_run(key: list[int], run: int) -> None:
    seed = node_seed(run, "p", tuple(key))
    assert 0 <= seed < 2**63
    assert seed == node_seed(run, "p", tuple(key))
    assert len({seed, node_seed(run, "q", tuple(key)), node_seed(run + 1, "p", tuple(key))}) == 3
    assert len({vote_seed(seed, vote) for vote in range(8)}) == 8
