"""Tree searches: particle Gibbs, MCTS, rStar and AB-MCTS, by hand and by counting."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from tts.events import Judged, StopReason
from tts.testing import Bench
from tts.testing.bench import Opinions, shape
from tts.tree import Tree
from tts.types import Judgement, Step
from tts_strategies import rstar
from tts_strategies.ab_mcts import ABMCTS
from tts_strategies.ab_mcts import _Place as Place
from tts_strategies.mcts import MCTS
from tts_strategies.particles import Particles
from tts_strategies.refine import Refine
from tts_strategies.rstar import Action, RStar
from tts_strategies.rstar import _Statistics as Statistics


def script(depth: int):  # type: ignore[no-untyped-def]
    """Solutions of `depth` steps, each a number that its seed decides."""

    def write(text: str, seed: int) -> str:
        left = depth - 1 - text.count("\n\n")
        return f"{seed % 1000}\n\n" * left + f"\\boxed{{{seed % 4}}}"

    return write


def numbers(text: str) -> float:
    """The last number as a share of a thousand."""
    last = [part for part in text.split("\n\n") if part][-1]
    return int("".join(filter(str.isdigit, last))) / 1000


# ---------------------------------------------------------------------------------- particle Gibbs
def test_one_sweep_is_the_particle_filter() -> None:
    alone = Bench(script=script(3)).solve(Particles(n=4))
    more = Bench(script=script(3)).solve(Particles(n=4, sweeps=2))
    first = {key: value for key, value in shape(more.tree).items() if key in shape(alone.tree)}
    assert first == shape(alone.tree)


def test_particle_gibbs_by_hand(scripted, texts) -> None:
    """Two particles, drawn anew at every step by weights that are all but 0 and 1."""
    samples = ["good\n\n", "bad\n\n", "end \\boxed{1}", "so \\boxed{2}"]  # the first sweep
    samples += ["worse\n\n", "new \\boxed{3}"]  # the free particle of the second one
    scores = {"good": 0.9, "bad": 0.1, "end \\boxed{1}": 0.9, "so \\boxed{2}": 0.1, "worse": 0.1}
    gibbs = Particles(n=2, sweeps=2, resample_below=1, temperature=0.01)
    result = scripted(gibbs, samples, scores)
    # Both particles go on from `good`. Its best end is the reference; the free particle begins with
    # `worse`, is drawn to where the reference is, and goes another way from there.
    ends = [f"good/{end} \\boxed{{{n}}}" for end, n in (("end", 1), ("so", 2), ("new", 3))]
    assert sorted(texts(result)) == sorted(["good", "bad", "worse", *ends])
    assert result.spend.policy.calls == 6


def test_the_reference_is_walked_again_for_nothing() -> None:
    result = Bench(script=script(3)).solve(Particles(n=4, sweeps=3))
    assert result.spend.policy.calls == (4 + 3 + 3) * 3
    assert len(result.candidates) <= 4 + 3 + 3


def test_with_one_particle_every_later_sweep_is_the_reference() -> None:
    one = Bench(script=script(3)).solve(Particles(n=1))
    three = Bench(script=script(3)).solve(Particles(n=1, sweeps=3))
    assert shape(one.tree) == shape(three.tree)


def test_free_particles_branch_off_the_reference_where_it_is_better() -> None:
    good = Bench(script=script(4), verifier=Opinions(score=numbers)).solve(
        Particles(n=4, sweeps=4, resample_below=1, temperature=0.05)
    )
    later = [node for node in good.tree if node.depth == 1 and node.key[0] >= 4]
    assert len(later) == 9  # three free ones a sweep begin at the root
    branching = [node for node in good.tree if len(node.children) > 1]
    assert branching


# -------------------------------------------------------------------------------------------- MCTS
def test_workers_that_find_nothing_free_come_back() -> None:
    """The root takes its time; then all eight workers have somewhere to go."""
    most = 0
    busy: set[int] = set()

    def delay(request, seed):  # type: ignore[no-untyped-def]
        return 1.0

    class Watch(Opinions):
        async def judge(self, case, meter):  # type: ignore[no-untyped-def]
            nonlocal most
            busy.add(case.seeds[0])
            most = max(most, len(busy))
            try:
                return await super().judge(case, meter)
            finally:
                busy.discard(case.seeds[0])

    result = Bench(script=script(5), delay=delay, verifier=Watch(score=numbers)).solve(
        MCTS(simulations=41, width=4, workers=8)
    )
    assert result.spend.policy.calls == 41 * 4
    assert most == 8 * 4
    # One second for the root, one for its four children (four workers wait), then eight at a time.
    assert result.spend.seconds == pytest.approx(1 + 1 + -(-36 // 8), abs=0.2)


def test_mcts_ends_when_all_is_closed_however_many_wait() -> None:
    result = Bench(script=script(1)).solve(MCTS(simulations=50, width=3, workers=20))
    assert result.spend.policy.calls == 3


def test_a_terminal_is_reached_once_and_does_not_vote_again() -> None:
    """OpenR selects the same terminal path again and again, and each time it votes."""
    result = Bench(script=script(2), verifier=Opinions(score=numbers)).solve(
        MCTS(simulations=200, width=2, workers=1)
    )
    keys = [candidate.key for candidate in result.candidates]
    assert len(keys) == len(set(keys)) == 4
    rstar = Bench(script=script(2), verifier=None).solve(RStar(rollouts=200, actions=2))
    keys = [candidate.key for candidate in rstar.candidates]
    assert len(keys) == len(set(keys))


def test_the_root_is_expanded_once() -> None:
    """OpenR's environment and its search both expand it, and the first time is not counted."""
    result = Bench(script=script(1)).solve(MCTS(simulations=9, width=4))
    assert result.spend.policy.calls == 4


def test_too_few_walks_for_an_answer_end_with_the_best_that_was_begun() -> None:
    result = Bench(script=script(6)).solve(MCTS(simulations=2, width=3))
    assert result.stop_reason is StopReason.DONE
    assert len(result.candidates) == 1
    (best,) = result.candidates
    judged = [node for node in result.tree if node.judgement]
    leaves = [node for node in judged if not any(child.judgement for child in node.children)]
    begun = [node for node in result.tree[best.key].path() if node.judgement][-1]
    assert begun is max(leaves, key=lambda node: node.rank)


# ------------------------------------------------------------------------------------------- rStar
def test_rstar_tries_each_action_once_at_each_prefix_and_then_closes() -> None:
    result = Bench(script=script(9), verifier=None).solve(RStar(rollouts=99, actions=2))
    # At the root: the rest, or a step; after the step, which was the last but one: the rest.
    assert sorted(len(c.key) for c in result.candidates) == [9, 9]
    assert len([node for node in result.tree if node.depth == 1]) == 2


def test_rstar_asks_for_what_makes_sense(scripted) -> None:
    samples = [f"{i}\n\n" if i % 5 else f"\\boxed{{{i}}}" for i in range(1, 400)]
    result = scripted(RStar(rollouts=12, actions=4), samples, told=True)
    asked: dict[str | None, list[int]] = {}
    for node in result.tree:
        asked.setdefault(node.manner.instruction, []).append(node.depth)
        if node.manner.instruction == Action.AGAIN.value:
            assert node.parent is not None
            assert node.parent.manner.instruction == Action.SUBQUESTION.value
    assert set(asked[Action.REPHRASE.value]) == {1}
    assert {Action.STEP.value, Action.SUBQUESTION.value, Action.AGAIN.value} <= set(asked)
    assert max(depth for depths in asked.values() for depth in depths) >= 3


def test_rstar_goes_where_answers_agree(scripted) -> None:
    """By hand, two actions and a low price of exploring: the samples decide which way it goes."""
    samples = ["\\boxed{7}", "a\n\n", "\\boxed{7}"]
    result = scripted(RStar(rollouts=5, actions=2), samples)
    assert len(result.candidates) == 2
    assert result.answer == "7"


def test_rstar_urges_by_hand() -> None:
    """A parent that was walked through eight times, a child of two walks worth 0.5 and 1."""
    tree = Tree()
    child = tree.add((0,), Step("x"))
    statistics = Statistics()
    statistics.visits.update({tree.root: 8, child: 2})
    statistics.value[child] = 1.5
    urge = RStar(exploration=2.0)._urge(child, tree.root, statistics)
    assert urge == pytest.approx(0.75 + 2 * (math.log(8) / 2) ** 0.5)


def test_rstar_backs_up_the_share_of_answers_that_agree(scripted, monkeypatch) -> None:
    """The rest at once gives 7; a step and its rest gives 7 too: shares of 1/1 and 2/2."""
    kept: list[Statistics] = []
    monkeypatch.setattr(rstar, "_Statistics", lambda: kept.append(Statistics()) or kept[0])
    samples = ["\\boxed{7}", "a\n\n", "\\boxed{7}"]
    result = scripted(RStar(rollouts=9, actions=2), samples)
    (statistics,) = kept
    assert statistics.visits[result.tree.root] == 2  # then all is closed
    assert statistics.value[result.tree.root] == pytest.approx(2.0)
    assert statistics.answers == {0: 2}


def test_rstar_has_only_the_ends_judged() -> None:
    result = Bench(script=script(3)).solve(RStar(rollouts=4))
    judged = {event.key for event in result.events if isinstance(event, Judged)}
    on_ends = {node.key for c in result.candidates for node in result.tree[c.key].path()}
    assert judged == on_ends


# ----------------------------------------------------------------------------------------- AB-MCTS
def test_where_nothing_is_wrong_it_only_goes_wider() -> None:
    yes = Bench(script=script(2), verifier=Opinions(score=lambda text: 1.0))
    result = yes.solve(ABMCTS(n=9))
    assert {candidate.key[0] for candidate in result.candidates} == set(range(9))


def test_where_the_first_step_is_right_and_the_next_wrong_it_also_goes_deeper() -> None:
    mixed = Bench(
        script=script(3), verifier=Opinions(score=lambda text: 0.9 if text.count("\n") < 3 else 0.2)
    )
    result = mixed.solve(ABMCTS(n=20))
    assert len(result.candidates) == 20
    wide = [c for c in result.candidates if all(i < 10**9 for i in c.key)]
    assert 1 < len(wide) < 20


def test_it_goes_deeper_where_revisions_pay_and_wider_where_new_ones_do() -> None:
    def share_of_revisions(first: float, revised: float) -> float:
        """Solutions of three steps, the second of which is wrong, so that all can be revised."""

        def write(text: str, seed: int) -> str:
            return "again\n\n\\boxed{2}" if text else "right\n\nwrong\n\n\\boxed{1}"

        scores = {"right": 0.9, "wrong": 0.1, "again": 0.1}

        def score(text: str) -> float:
            last = [part for part in text.split("\n\n") if part][-1]
            return scores.get(last, revised if "again" in text else first)

        result = Bench(script=write, verifier=Opinions(score=score)).solve(ABMCTS(n=60))
        return sum("again" in each.text for each in result.candidates) / 60

    assert share_of_revisions(0.1, 0.9) > 0.8
    assert share_of_revisions(0.9, 0.1) < 0.4


def test_posteriors_are_those_of_the_paper_by_hand() -> None:
    tree = Tree()

    def solution(index: int, score: float):  # type: ignore[no-untyped-def]
        node = tree.add((index,), Step("x"))
        node.own_score, node.judgement = score, Judgement(score)
        return node

    top = Place()
    top.learn(solution(0, 0.2))
    (child,) = top.children
    child.learn(solution(1, 0.75))
    believed = {
        "GEN at the top": (top.generate, 0.7, 1.3),  # 0.2 was generated there
        "CONT at the top": (top.proceed, 1.25, 0.75),  # 0.75 came of going on
        "the child": (child.itself, 0.5 + 0.2 + 0.75, 0.5 + 0.8 + 0.25),
        "GEN at the child": (child.generate, 1.25, 0.75),
        "CONT at the child": (child.proceed, 0.5, 0.5),
        "the grandchild": (child.children[0].itself, 1.25, 0.75),
    }
    for name, (belief, good, bad) in believed.items():
        assert (belief.good, belief.bad) == (pytest.approx(good), pytest.approx(bad)), name
    assert not child.children[0].revisable  # no step of it is wrong
    draws = np.random.default_rng(0)
    assert 0 < top.generate.draw(draws) < 1


# ---------------------------------------------------------------------------------------- refining
def test_chains_of_revisions_do_not_depend_on_one_another() -> None:
    alone = Bench(script=script(3), verifier=Opinions(score=lambda text: 0.3)).solve(
        Refine(turns=2)
    )
    three = Bench(script=script(3), verifier=Opinions(score=lambda text: 0.3)).solve(
        Refine(n=3, turns=2)
    )
    assert shape(alone.tree).items() <= shape(three.tree).items()
    assert len(three.candidates) == 9
    assert Counter(len(candidate.key) for candidate in three.candidates) == {3: 9}
