"""Strategies that stop when the answer is settled: by hand, and by counting."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from tts.errors import ConfigError
from tts.events import StopReason
from tts.testing import Bench
from tts.tree import Node
from tts.types import Finish, Step
from tts_strategies.adaptive_consistency import AdaptiveConsistency, lead
from tts_strategies.best_of_n import BestOfN
from tts_strategies.deepconf import DeepConf
from tts_strategies.early_stopping import EarlyStopping


def boxed(*answers: str) -> list[str]:
    return [f"\\boxed{{{answer}}}" if answer else "I do not know." for answer in answers]


# ---------------------------------------------------------------------------- adaptive consistency
@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ({}, 1 / 2),
        ({0: 1}, 3 / 4),  # Beta(2, 1): 1 - 1/4
        ({0: 3}, 15 / 16),
        ({0: 4}, 31 / 32),
        ({0: 2, 1: 2}, 1 / 2),
        ({0: 3, 1: 1, 2: 1}, 13 / 16),  # Beta(4, 2): the third answer plays no part
    ],
)
def test_the_lead_is_the_posterior_of_the_two_most_frequent(
    votes: dict[int, int], expected: float
) -> None:
    assert lead(Counter(votes)) == expected


def test_the_lead_is_what_sampling_the_posterior_gives() -> None:
    drawn = np.random.default_rng(0).beta(8, 4, 200_000)
    assert lead(Counter({0: 7, 1: 3})) == pytest.approx((drawn > 0.5).mean(), abs=0.005)


def test_adaptive_consistency_stops_at_the_sample_that_settles_it(scripted) -> None:
    result = scripted(AdaptiveConsistency(n=40), boxed(*"7777"))
    assert len(result.candidates) == 4  # three of three are 15/16, four of four 31/32
    result = scripted(AdaptiveConsistency(n=40), boxed(*"787777777"))
    # With one against it: 5 of 6 are 0.9375, 6 of 7 are 0.965.
    assert len(result.candidates) == 7
    assert result.answer == "7"


def test_adaptive_consistency_never_samples_more_than_n(scripted) -> None:
    for at_once in (1, 4, 9, 20):
        strategy = AdaptiveConsistency(n=9, at_once=at_once)
        assert len(scripted(strategy, boxed(*"121212121")).candidates) == 9


def test_more_at_once_stop_at_the_next_look(scripted) -> None:
    result = scripted(AdaptiveConsistency(n=40, at_once=3), boxed(*"777777"))
    assert len(result.candidates) == 6


def test_a_threshold_of_one_is_refused_because_it_is_never_reached() -> None:
    for threshold in (0.5, 1.0, math.nan):
        with pytest.raises(ConfigError, match=r"between 0\.5 and 1"):
            AdaptiveConsistency(threshold=threshold)


# ---------------------------------------------------------------------------------- early stopping
def test_early_stopping_ends_at_the_first_window_that_agrees(scripted) -> None:
    result = scripted(EarlyStopping(n=12, window=3), boxed(*"778", *"777"))
    assert len(result.candidates) == 6


def test_early_stopping_narrows_its_last_window_to_n(scripted) -> None:
    result = scripted(EarlyStopping(n=8, window=3), boxed(*"12312312"))
    assert len(result.candidates) == 8
    assert result.stop_reason is StopReason.DONE


def test_a_window_of_one_is_refused_because_it_always_agrees() -> None:
    with pytest.raises(ConfigError, match="window=1 must be at least 2"):
        EarlyStopping(window=1)


def test_empty_answers_are_no_agreement(scripted) -> None:
    """search-and-learn and Dynasor count them: four texts without one would end the search."""
    assert len(scripted(EarlyStopping(n=8, window=4), boxed(*[""] * 8)).candidates) == 8
    assert len(scripted(AdaptiveConsistency(n=8), boxed(*[""] * 8)).candidates) == 8
    mixed = scripted(EarlyStopping(n=8, window=4), boxed("7", "", "7", "7", *"7777"))
    assert len(mixed.candidates) == 8


def test_empty_answers_do_not_win_the_vote(scripted) -> None:
    result = scripted(BestOfN(n=4), boxed("", "", "5", ""))
    assert (result.answer, result.confidence) == ("5", 1.0)
    assert scripted(BestOfN(n=2), boxed("", "")).answer is None


# ---------------------------------------------------------------------------------------- deepconf
def chain(*steps: tuple[int, float]) -> Node:
    """A solution whose steps have so many tokens of such a probability each."""
    node = Node(())
    for index, (tokens, probability) in enumerate(steps):
        step = Step("s", (1,) * tokens, tokens * math.log(probability), Finish.STEP)
        node = Node((0,) * (index + 1), node, step)
    return node


def test_a_group_is_the_latest_whole_steps_that_hold_the_window() -> None:
    strategy = DeepConf(window=10)
    node = chain((6, 0.9), (6, 0.5), (4, 0.8))
    path = node.path()
    assert strategy.latest(path[0]) is None  # six tokens are not ten
    assert strategy.latest(path[1]) == pytest.approx(math.sqrt(0.9 * 0.5))
    assert strategy.latest(path[2]) == pytest.approx((0.5**6 * 0.8**4) ** 0.1)
    assert strategy.lowest(node) == pytest.approx((0.5**6 * 0.8**4) ** 0.1)


def test_what_is_shorter_than_the_window_is_one_group() -> None:
    assert DeepConf(window=100).lowest(chain((1, 0.5), (1, 0.5))) == pytest.approx(0.5)


def test_without_token_probabilities_confidence_is_one() -> None:
    assert DeepConf(window=1).lowest(chain((0, 1.0))) == 1.0


def test_deepconf_drops_what_is_below_the_threshold_and_keeps_what_is_not() -> None:
    strategy = DeepConf(n=40, warmup=8, keep=0.5, window=8, consensus=1.0)
    result = Bench(verifier=None).solve(strategy)
    warm = [result.tree[each.key] for each in result.candidates if each.key[0] < 8]
    threshold = float(np.quantile([strategy.lowest(end) for end in warm], 0.5))
    online = [node for node in result.tree if node.key[0] >= 8]
    leaves = [node for node in online if not node.children]
    dropped = [node for node in leaves if not node.finished]
    assert len(leaves) == 32
    assert 0 < len(dropped) < 32
    assert all((strategy.latest(node) or 1) < threshold for node in dropped)
    for node in online:
        if node.children:
            assert (strategy.latest(node) or 1) >= threshold


def test_deepconf_stops_when_the_warm_up_agrees(scripted) -> None:
    result = scripted(DeepConf(n=30, warmup=4), boxed(*"7777"))
    assert len(result.candidates) == 4


def test_deepconf_with_fewer_than_its_warm_up_is_best_of_n(scripted) -> None:
    assert len(scripted(DeepConf(n=3, warmup=16), boxed(*"123")).candidates) == 3
