"""Faults found in other systems, each a test by its name; their number in the notes is theirs.

Those of answers that are empty, of terminals that are selected again, of roots that are expanded
twice, of allocations that add up to too much, of `n` below the width and of lookahead that is
ignored stand with the strategies that they are about.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tts import Engine, Problem
from tts.answers import AnswerChecker, Roll
from tts.backends.fake import FakeBackend
from tts.config import build
from tts.policy import LanguagePolicy
from tts.registry import load, names
from tts.testing import Bench
from tts.testing.bench import Opinions
from tts.types import Finish, Judgement
from tts.verifier import Case, Meter
from tts_strategies.beam import Beam
from tts_strategies.best_of_n import BestOfN
from tts_strategies.dvts import DVTS
from tts_strategies.particles import Particles
from tts_strategies.rebase import Rebase

GIVEN = {"table": {"path": str(Path(__file__).with_name("table.json"))}}
"""Knobs that a strategy has to be told."""


@pytest.mark.anyio
async def test_votes_are_not_split_by_how_an_answer_is_written() -> None:
    """compute-optimal-tts and OpenR count strings."""
    async with AnswerChecker(workers=0) as checker:
        roll = Roll(checker)
        written = ("1/2", "0.5", r"\frac{1}{2}", "0.50")
        assert {await roll.label(each) for each in written} == {0}


@pytest.mark.parametrize("name", names("strategies"))
def test_no_solution_is_a_candidate_twice(name: str) -> None:
    """search-and-learn fills up with copies, and its_hub copies what has stopped."""
    result = Bench().solve(load("strategies", name)(**GIVEN.get(name, {})))
    keys = [candidate.key for candidate in result.candidates]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", names("strategies"))
def test_tokens_are_conserved(name: str) -> None:
    """search-and-learn reports 0 or -1 for beams; others leave out what they threw away."""
    result = Bench().solve(load("strategies", name)(**GIVEN.get(name, {})))
    written = sum(node.step.cost.output_tokens for node in result.tree if node.step)
    judged = sum(node.judgement.cost.output_tokens for node in result.tree if node.judgement)
    assert result.spend.policy.output_tokens == written > 0
    assert result.spend.verifier.output_tokens == judged
    assert result.spend.total.tokens == written + judged


def test_a_text_that_was_cut_is_no_answer() -> None:
    """search-and-learn counts it as complete, for its engine's reason is None either way."""
    cut = "so it is \\boxed{3} " * 100
    result = Bench(script=lambda text, seed: cut[len(text) :]).solve(Beam(n=4, width=2))
    assert result.candidates
    assert result.answer is None


def test_an_empty_last_step_does_not_decide() -> None:
    """Splitting at the delimiter that ends a text makes its last step an empty one."""

    class NothingOnNothing(Opinions):
        async def judge(self, case: Case, meter: Meter) -> list[Judgement | None]:
            new = case.steps[len(case.judged) :]
            return [Judgement(0.9) if step.text.strip() else None for step in new]

    ended = Bench(
        script=lambda text, seed: "\\boxed{3}\n\n"[len(text) :], verifier=NothingOnNothing()
    )
    result = ended.solve(Beam(n=2, width=1))
    assert [node.text for node in result.tree if node.finished] == ["\\boxed{3}\n\n"] * 2
    assert [each.score for each in result.candidates] == [0.9, 0.9]


def test_equal_siblings_and_those_cut_short_stay_in_the_tree() -> None:
    """compute-optimal-tts drops both, and so its width varies and its count of tokens is wrong."""
    same = Bench(script=lambda text, seed: "one\n\n\\boxed{1}"[len(text) :])
    result = same.solve(Beam(n=6, width=3))
    assert Counter(node.depth for node in result.tree) == {1: 6, 2: 6}
    cut = Bench(script=lambda text, seed: "x" * 200).solve(Beam(n=6, width=3))
    assert len(cut.tree) == 6
    assert {node.step.finish for node in cut.tree if node.step} == {Finish.LENGTH}


def test_a_box_in_the_middle_ends_nothing() -> None:
    """search-and-learn's DVTS and compute-optimal-tts stop at the first one."""
    text = "try \\boxed{1}\n\nno\n\n\\boxed{2}"
    result = Bench(script=lambda done, seed: text[len(done) :]).solve(DVTS(n=4, width=2))
    assert {each.answer for each in result.candidates} == {"2"}
    assert max(node.depth for node in result.tree) == 3


@pytest.mark.anyio
async def test_problems_with_one_text_are_two_problems() -> None:
    """search-and-learn's DVTS merges them."""
    async with Engine(LanguagePolicy(FakeBackend()), "likelihood") as engine:
        both = await engine.solve_all([Problem(i, "What is next?") for i in "ab"], DVTS(n=4))
    trees = [[node.text for node in result.tree] for result in both]
    assert trees[0] != trees[1]


def test_a_flag_that_is_set_to_false_is_false() -> None:
    """`type=bool` reads every text as true."""

    def factory(flag: bool = True) -> bool:
        return flag

    assert build("x", factory, {"flag": "False"}) is False
    assert build("x", factory, {"flag": "true"}) is True


@pytest.mark.parametrize("score", [None, 0.0])
def test_scores_that_add_up_to_nothing_divide_nothing_by_nothing(score: float | None) -> None:
    """REBASE has no guard for a sum of zero, and an underflow in a PRM breaks others."""
    for strategy in (Rebase(n=6), Particles(n=6), Rebase(n=6, temperature=1e-9)):
        result = Bench(verifier=Opinions(score=lambda text: score)).solve(strategy)
        assert result.answer is not None


def test_particles_that_are_at_their_end_cost_nothing_more() -> None:
    """A batched particle filter goes on generating for them."""
    result = Bench().solve(Particles(n=8))
    assert result.spend.policy.calls == len(result.tree)
    assert all(not node.children for node in result.tree if node.finished)


def test_what_is_found_first_is_not_preferred() -> None:
    """search-and-learn returns the first n to finish, which are the short ones."""

    def write(text: str, seed: int) -> str:
        short = "\\boxed{1}"
        return short if seed % 2 else "step\n\n" * (3 - text.count("\n\n")) + "\\boxed{2}"

    def score(text: str) -> float:
        return 0.02 if text == "\\boxed{1}" else 0.9

    result = Bench(script=write, verifier=Opinions(score=score)).solve(BestOfN(n=12))
    assert {each.answer for each in result.candidates} == {"1", "2"}
    assert result.answer == "2"
