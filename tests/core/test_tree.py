"""The tree: what is known of a node from what was said of the steps before it."""

from __future__ import annotations

import pytest

from tts.tree import Node, Tree
from tts.types import Finish, Judgement, Step, Vote


def path(*verdicts: Judgement | None) -> Node:
    """The end of a solution with a step for each verdict; None: not asked yet."""
    tree = Tree()
    key: tuple[int, ...] = ()
    for place, verdict in enumerate(verdicts, 1):
        key = (*key, 0)
        finish = Finish.EOS if place == len(verdicts) else Finish.STEP
        node = tree.add(key, Step(f"{place}\n\n", (place,), finish=finish))
        node.judgement = verdict
        node.own_score = None if verdict is None else verdict.score
    return tree[key]


YES, NO, SILENT = Judgement(0.9), Judgement(0.2), Judgement(None)


def test_a_node_scores_as_the_longest_prefix_that_was_judged() -> None:
    assert path(None, None).score is None
    assert path(YES, Judgement(0.7), None).score == 0.7
    assert path(YES, SILENT).score == 0.9  # an abstention leaves what was said before


@pytest.mark.parametrize(
    ("verdicts", "covered"),
    [
        ((None, None, None, None), 0.0),
        ((YES, None, None, None), 0.25),
        ((YES, SILENT, YES, None), 0.75),
        ((YES, NO, None, None), 1.0),  # nothing is left to say
        ((YES, YES, YES, YES), 1.0),
        ((YES, SILENT, SILENT, None), 0.25),
    ],
)
def test_verdicts_cover_the_steps_up_to_the_last_of_them(
    verdicts: tuple[Judgement | None, ...], covered: float
) -> None:
    assert path(*verdicts).covered == covered


def test_the_first_wrong_step_and_the_most_doubted_one() -> None:
    sure = Judgement(0.1, (Vote(0.1), Vote(0.1)))
    end = path(YES, NO, sure, SILENT)
    assert end.first_wrong is end.path()[1]
    assert end.doubted is end.path()[2]
    assert end.votes == 2
    assert path(YES, NO).votes == 1  # a verdict without votes is one
    assert path(SILENT, None).doubted is None
    assert path(YES, SILENT).first_wrong is None
