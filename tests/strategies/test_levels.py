"""Strategies that go level by level: beams that wait less or look further, and ETS."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.budget.budget import Budget
from tts.errors import ConfigError
from tts.events import Judged
from tts.strategy import in_proportion
from tts.testing import Bench
from tts.testing.bench import Opinions, shape, stragglers
from tts.tree import Node, Tree
from tts.types import Manner, Step
from tts_strategies.beam import Beam
from tts_strategies.eager_beam import EagerBeam
from tts_strategies.ets import ETS, select
from tts_strategies.lookahead import Lookahead
from tts_strategies.rebase import Rebase

sizes = st.tuples(st.integers(1, 17), st.integers(1, 6))


# -------------------------------------------------------------------------------------- eager beam
@given(sizes, st.integers(0, 999), st.integers(0, 99))
def test_the_eager_beam_grows_the_tree_of_the_beam_at_any_timing(
    size: tuple[int, int], seed: int, timing: int
) -> None:
    def delay(request, sample):  # type: ignore[no-untyped-def]
        return random.Random(sample ^ timing).choice([0.0, 0.1, 0.5, 9.0])

    beam = Bench(seed=seed).solve(Beam(*size), Budget())
    eager = Bench(seed=seed, delay=delay).solve(EagerBeam(*size), Budget())
    assert shape(eager.tree) == shape(beam.tree)


@given(sizes, st.integers(0, 99))
def test_the_eager_beam_grows_it_with_equal_scores_too(size: tuple[int, int], seed: int) -> None:
    same = Opinions(score=lambda text: 0.5)
    trees = [
        shape(Bench(seed=seed, verifier=same).solve(strategy, Budget()).tree)
        for strategy in (Beam(*size), EagerBeam(*size))
    ]
    assert trees[0] == trees[1]


def test_a_straggler_does_not_hold_the_sure_ones() -> None:
    """The worst of four first steps takes ten seconds, and so does what follows the best."""

    def script(text: str, seed: int) -> str:
        return f"{seed % 1000}\n\n" * (2 - text.count("\n\n")) + "\\boxed{1}"

    def score(text: str) -> float:
        return int(text.split("\n", maxsplit=1)[0]) / 1000

    first: list[int] = []

    def delay(request, seed):  # type: ignore[no-untyped-def]
        begun = "".join(map(chr, request.prompt)).partition("-> ")[2]
        if not begun:
            first.append(seed)
        slow = seed == worst if not begun else begun == f"{best % 1000}\n\n"
        return 10.0 if slow else 0.1

    worst = best = -1
    bench = Bench(script=script, verifier=Opinions(score=score, seconds=0.0), delay=delay)
    bench.solve(Beam(n=4, width=2))
    worst, best = (choose(first, key=lambda seed: seed % 1000) for choose in (min, max))
    beam, eager = (bench.solve(strategy(n=4, width=2)) for strategy in (Beam, EagerBeam))
    assert shape(beam.tree) == shape(eager.tree)
    assert beam.spend.seconds == pytest.approx(20.1)
    assert eager.spend.seconds == pytest.approx(10.2)


# --------------------------------------------------------------------------------------- lookahead
def test_lookahead_of_no_steps_is_the_beam() -> None:
    for seed in range(5):
        trees = [
            shape(Bench(seed=seed).solve(strategy).tree)
            for strategy in (Beam(n=6, width=3), Lookahead(n=6, width=3, steps=0))
        ]
        assert trees[0] == trees[1]


def test_lookahead_goes_on_from_what_leads_further(scripted, texts) -> None:
    """`good` looks better than `plain` itself, but leads to what is bad."""
    scores = {"good": 0.9, "bad": 0.1, "plain": 0.4, "fine": 0.8, "\\boxed{1}": 0.7}
    asked: list[str] = []

    def write(text: str, seed: int) -> str:
        asked.append(text)
        first = {0: "good", 1: "plain"}
        if not text:
            return f"{first[asked.count('') - 1]}\n\n"
        if text == "good\n\n":
            return "bad\n\n"
        return "fine\n\n" if text == "plain\n\n" else "\\boxed{1}"

    verifier = Opinions(
        score=lambda text: scores[text.split("\n\n")[-2 if text[-1] == "\n" else -1]]
    )
    result = Bench(script=write, verifier=verifier, delay=None).solve(
        Lookahead(n=2, width=2, steps=1)
    )
    rolled = [node for node in result.tree if node.manner.scratch]
    assert {node.manner for node in rolled} == {Manner(temperature=0, scratch=True)}
    chosen = [node for node in result.tree if node.depth == 2 and not node.manner.scratch]
    assert {node.text for node in chosen} == {"plain\n\nfine\n\n"}
    assert [each.text for each in result.candidates] == ["plain\n\nfine\n\n\\boxed{1}"] * 2


def test_rollouts_are_dropped_but_paid_for() -> None:
    """Snell: a step of the beam costs N x (k + 1); search-and-learn generates and ignores them."""
    depth = 4

    def script(text: str, seed: int) -> str:
        return f"{seed % 97}\n\n" * (depth - 1 - text.count("\n\n")) + "\\boxed{1}"

    plain = Bench(script=script).solve(Lookahead(n=4, width=2, steps=0))
    ahead = Bench(script=script).solve(Lookahead(n=4, width=2, steps=2))
    assert len(plain.candidates) == len(ahead.candidates) == 4
    assert plain.spend.policy.calls == 4 * depth
    # Two rollouts a candidate, one where only one step is left, none from an end.
    assert ahead.spend.policy.calls == 4 * (depth + 2 + 2 + 1)
    judged = sum(isinstance(event, Judged) for event in ahead.events)
    assert judged == len(ahead.tree)


# --------------------------------------------------------------------------------------------- ets
def tree_of(seed: int, n: int) -> list[Node]:
    """Leaves of one depth, below a few shared prefixes."""
    chance, tree = random.Random(seed), Tree()
    level = [tree.root]
    for below in [chance.randint(1, 3) for _ in range(chance.randint(0, 2))] + [n]:
        parents = [chance.choice(level) for _ in range(below)]
        level = [tree.add((*each.key, len(each.children)), Step("s")) for each in parents]
    return level


@given(
    st.integers(0, 9999),
    st.lists(
        st.tuples(st.sampled_from([0, 0, 1, 2, 5]), st.integers(0, 4)), min_size=1, max_size=8
    ),
    st.sampled_from([0.0, 0.02, 0.1, 0.3]),
    st.sampled_from([0.0, 0.05, 0.2, 1.0]),
)
def test_the_selection_is_the_best_of_all_sets(
    seed: int, given_: list[tuple[int, int]], cost: float, bonus: float
) -> None:
    leaves = tree_of(seed, len(given_))
    whole = sum(value for value, _ in given_) or 1
    values = {leaf: value / whole for leaf, (value, _) in zip(leaves, given_, strict=True)}
    clusters = {leaf: str(cluster) for leaf, (_, cluster) in zip(leaves, given_, strict=True)}

    def worth(chosen: tuple[Node, ...]) -> float:
        paths = {node for leaf in chosen for node in leaf.path()}
        earned = sum(values[leaf] for leaf in chosen)
        return earned - cost * len(paths) + bonus * len({clusters[leaf] for leaf in chosen})

    sets = [s for r in range(1, len(leaves) + 1) for s in itertools.combinations(leaves, r)]
    best = max(map(worth, sets))
    if best <= 0:  # nothing is worth it, but one is kept
        best = max(worth((leaf,)) for leaf in leaves)
    assert worth(tuple(select(values, clusters, cost, bonus))) == pytest.approx(best)


def test_ets_by_hand() -> None:
    """Two leaves share a parent, one stands alone; six nodes on all paths together."""
    tree = Tree()
    left, right = tree.add((0,), Step("l")), tree.add((1,), Step("r"))
    twins = [tree.add((0, i), Step("so 4\n\n")) for i in range(2)]
    other = tree.add((1, 0), Step("so 5\n\n"))
    for node in (left, right, *twins, other):
        node.own_score = 0.5
    # Equal shares: in_proportion(6) gives 2 each, so O = 1/3. With cost 1 a node costs 1/5.
    # {twins}: 2/3 - 3/5 = 1/15; {other}: 1/3 - 2/5 < 0; one cluster is worth coverage / 2.
    assert ETS(n=6, coverage=0).choose(6, [*twins, other]) == twins
    assert ETS(n=6, coverage=0.1).choose(6, [*twins, other]) == twins  # 1/20 - 1/15 < 0
    assert ETS(n=6, coverage=0.2).choose(6, [*twins, other]) == [*twins, other]
    # If cost is three times as high nothing pays for itself, and one leaf is kept all the same.
    assert ETS(n=6, cost=3, coverage=0).choose(6, [*twins, other]) == [twins[0]]


def test_ets_that_counts_no_cost_keeps_all_that_rebase_would_give_anything() -> None:
    leaves = tree_of(1, 8)
    for index, leaf in enumerate(leaves):
        leaf.own_score = index / 8
    given_any = set(in_proportion(8, leaves, 0.2))
    assert 1 < len(given_any) < 8
    assert set(ETS(n=8, cost=0, coverage=0).choose(8, leaves)) == given_any


def test_ets_keeps_fewer_prefixes_than_rebase() -> None:
    kept = [
        len({node.parent for node in Bench(seed=s).solve(strategy).tree})
        for strategy in (Rebase(n=16), ETS(n=16))
        for s in range(4)
    ]
    assert sum(kept[4:]) < sum(kept[:4])


def test_ets_gives_out_its_width_exactly() -> None:
    result = Bench(delay=stragglers).solve(ETS(n=10))
    first = [node for node in result.tree if node.depth == 1]
    second = [node for node in result.tree if node.depth == 2]
    assert len(first) == 10
    assert len(second) == 10 - sum(node.finished for node in first)
    assert len(result.candidates) == 10


@pytest.mark.parametrize("knobs", [{"cost": -1}, {"coverage": -0.1}, {"n": 0}, {"temperature": 0}])
def test_ets_refuses_what_makes_no_sense(knobs: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        ETS(**knobs)  # type: ignore[arg-type]
