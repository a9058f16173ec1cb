"""Each strategy's rule, checked by hand on scripted policies and verifiers, and by counting."""

import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from tts.result import Result
from tts.strategy import in_proportion, in_turn, ranked, systematic
from tts.testing import Bench
from tts.testing.bench import Opinions
from tts.tree import Node
from tts.types import Finish, Step
from tts_strategies.beam import Beam
from tts_strategies.best_of_n import BestOfN
from tts_strategies.dvts import DVTS
from tts_strategies.mcts import MCTS
from tts_strategies.particles import Particles
from tts_strategies.rebase import Rebase


def steps_until(depth: int) -> Callable[[str, int], str]:
    """A policy whose solutions all have `depth` steps, each a letter that its seed decides."""

    def script(text: str, seed: int) -> str:
        left = depth - text.count("\n\n") - 1
        word = "abcdefghijklmnopqrstuvwxyz"[seed % 26]
        return f"{word}\n\n" * left + f"\\boxed{{{word}}}"

    return script


def alphabet(text: str) -> float:
    """A verifier that likes late letters: the score of the last step's first letter."""
    last = [part for part in text.split("\n\n") if part][-1]
    letter = re.sub(r"\\boxed{(.)}", r"\1", last)[0]
    return (ord(letter) - ord("a") + 1) / 27


def run(strategy: object, depth: int = 3) -> Result:
    bench = Bench(script=steps_until(depth), verifier=Opinions(score=alphabet))
    return bench.solve(strategy)  # type: ignore[arg-type]


def by_depth(result: Result) -> list[list[Node]]:
    depth = max(node.depth for node in result.tree)
    return [[n for n in result.tree if n.depth == level] for level in range(1, depth + 1)]


def test_best_of_n_writes_n_answers_and_shares_no_step() -> None:
    result = run(BestOfN(n=5))
    assert len(result.candidates) == 5
    assert Counter(node.key[0] for node in result.tree) == dict.fromkeys(range(5), 3)


def test_beam_goes_on_from_the_best_n_over_m() -> None:
    levels = by_depth(run(Beam(n=8, width=4)))
    assert [len(level) for level in levels] == [8, 8, 8]
    for above, below in pairwise(levels):
        kept = {node.parent for node in below}
        assert len(kept) == 2
        cut = sorted((node.rank for node in above), reverse=True)[1]
        assert all(node is not None and node.rank >= cut for node in kept)
        assert set(Counter(node.parent for node in below).values()) == {4}


@given(st.integers(1, 20), st.integers(1, 9), st.integers(0, 20))
def test_beam_gives_out_its_slots_exactly(n: int, width: int, prefixes: int) -> None:
    level = leaves([0.1 * i for i in range(prefixes)])
    shares = in_turn(n, width, ranked(level))
    assert sum(shares.values()) == min(n, width * prefixes)
    assert all(0 < share <= width for share in shares.values())


def test_beam_never_finishes_more_than_n() -> None:
    result = Bench().solve(Beam(n=8, width=3))
    assert len(result.candidates) <= 8


def test_beam_with_n_below_its_width_still_prunes() -> None:
    levels = by_depth(run(Beam(n=2, width=4)))
    assert [len(level) for level in levels] == [2, 2, 2]
    assert len({node.parent for node in levels[1]}) == 1


def test_dvts_goes_on_from_the_best_of_each_subtree() -> None:
    levels = [sorted(level, key=lambda n: n.key) for level in by_depth(run(DVTS(n=8, width=4)))]
    assert [len(level) for level in levels] == [8, 8, 8]
    for above, below in pairwise(levels):
        siblings = [above[:4], above[4:]]
        best = {max(group, key=lambda node: node.rank).key for group in siblings}
        assert {node.parent.key for node in below if node.parent} == best


def leaves(scores: list[float | None]) -> list[Node]:
    return [
        Node((i,), step=Step("s", finish=Finish.STEP), own_score=score)
        for i, score in enumerate(scores)
    ]


@example(36, [0.578125, 0.25], 1.0)  # rounds up to 37 if the quotient is taken last
@given(
    st.integers(0, 64),
    st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=64),
    st.sampled_from([0.01, 0.2, 1.0, 50.0]),
)
def test_rebase_gives_out_its_width_exactly(
    width: int, scores: list[float | None], temperature: float
) -> None:
    shares = in_proportion(width, leaves(scores), temperature)
    assert sum(shares.values()) == width
    given_out = [share for _, share in sorted(shares.items(), key=lambda item: -item[0].rank)]
    assert all(share > 0 for share in given_out)


def test_rebase_shares_by_the_softmax_of_scores() -> None:
    good, poor, bad = leaves([0.9, 0.7, 0.1])
    # e^(0) : e^(-1) : e^(-4) = 1 : 0.368 : 0.018; of 16, rounded up from the best on: 12, 4, 0
    assert in_proportion(16, [bad, good, poor], 0.2) == {good: 12, poor: 4}


def test_rebase_narrows_by_what_is_finished() -> None:
    result = Bench().solve(Rebase(n=6))
    assert len(result.candidates) == 6


weights = st.lists(st.floats(0.001, 1), min_size=1, max_size=40).map(
    lambda raw: np.asarray(raw) / np.sum(raw)
)


@given(weights, st.integers(0, 999))
def test_systematic_drawing_takes_each_its_expected_number_rounded(
    shares: np.ndarray, seed: int
) -> None:
    n = len(shares)
    drawn = Counter(systematic(shares, n, np.random.default_rng(seed)))
    assert sum(drawn.values()) == n
    for index, share in enumerate(shares):
        assert abs(drawn[index] - n * share) < 1 + 1e-9


def test_particles_that_are_drawn_twice_go_different_ways() -> None:
    result = run(Particles(n=8, resample_below=1), depth=4)
    parents = Counter(node.parent for node in result.tree if node.depth == 2)
    assert max(parents.values()) > 1
    assert sum(parents.values()) == 8
    assert sum(node.finished for node in result.tree) <= 8


def test_mcts_reaches_no_solution_twice_and_stops_when_all_is_closed() -> None:
    result = run(MCTS(simulations=500, width=2, workers=3), depth=2)
    # Two first steps, two answers below each: four expansions would find nothing new.
    assert [len(level) for level in by_depth(result)] == [2, 4]
    assert len({node.key for node in result.tree}) == 6


def test_mcts_explores_where_values_are_high() -> None:
    result = run(MCTS(simulations=25, width=3, workers=1, exploration=0.05), depth=8)
    first = [node for node in result.tree if node.depth == 1]
    below = Counter(node.key[0] for node in result.tree if node.depth > 1)
    best = max(first, key=lambda node: node.rank)
    assert below.most_common(1)[0][0] == best.key[0]
