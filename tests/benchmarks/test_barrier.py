"""No barrier but the algorithms' own: searches keep a simulated engine busy; lock-step does not.

Virtual time, the same on every machine; `benchmarks/overhead/barrier` in small.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tts.registry import load, names
from tts.testing.bench import shape
from tts.tree import Tree

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks/overhead/barrier"))
from crowd import Crowd
from peers import Choice, beam, dvts, lock_step

SMALL: dict[str, dict[str, object]] = {
    "beam": {"n": 8, "width": 2},
    "dvts": {"n": 8, "width": 4},
    "eager_beam": {"n": 8, "width": 2},
    "ets": {"n": 8},
    "lookahead": {"n": 4, "width": 2},
    "mcts": {"simulations": 6},
    "particles": {"n": 8},
    "rebase": {"n": 8},
    "best_of_n": {"n": 8},
    "by_law": {"at_most": 4},
    "table": {"path": str(Path(__file__).parents[1] / "strategies/table.json")},
    "deepconf": {"n": 8, "warmup": 4, "window": 16, "at_once": 2},
    "rstar": {"rollouts": 3},
    "voi": {"at_most": 3},
    "ab_mcts": {"n": 4},
}


@pytest.mark.parametrize("name", names("strategies"))
def test_a_strategy_keeps_nine_slots_in_ten_busy(name: str) -> None:
    crowd = Crowd(slots=8, at_once=8, problems=24)
    tally = crowd.search(load("strategies", name)(**SMALL.get(name, {})))
    assert len(tally.results) == 24
    assert tally.busy >= 0.9


@pytest.mark.parametrize(("name", "choice"), [("beam", beam(8, 4)), ("dvts", dvts(8, 4))])
def test_lock_step_grows_the_same_trees_and_idles(name: str, choice: Choice) -> None:
    crowd = Crowd(slots=16, at_once=8, problems=16)
    ours = crowd.search(load("strategies", name)(n=8, width=4))
    theirs = lock_step(crowd, choice, crowd.at_once)
    for problem, tree in ours.trees.items():
        assert said(tree) == said(theirs.trees[problem])
    assert theirs.busy < 0.75 < ours.busy
    assert ours.seconds < theirs.seconds


def said(tree: Tree) -> dict[tuple[int, ...], object]:
    return {key: (step.text, score) for key, (step, _, score, _) in shape(tree).items()}
