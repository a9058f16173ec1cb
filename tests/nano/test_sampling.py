"""Draws have the distribution that was asked for, row by row."""

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from tts.backends.decoder.chance import chances
from tts_nano.sampling import Parameters, draw, raw_logprobs


def parameters(rows: int, temperature: float = 1, top_p: float = 1, top_k: int = 0) -> Parameters:
    return Parameters(
        np.full(rows, temperature, np.float32),
        np.full(rows, top_p, np.float32),
        np.full(rows, top_k, np.int64),
    )


def reference(logits: Any, temperature: float, top_p: float, top_k: int) -> Any:
    """Probabilities of one row, token by token."""
    scaled = logits.astype(np.float64) / temperature
    p = np.exp(scaled - scaled.max())
    order = sorted(range(len(p)), key=lambda token: (-p[token], token))
    order = order[: top_k or len(order)]
    total = sum(p[id] for id in order)
    kept, reached = [], 0.0
    for id in order:
        kept.append(id)
        reached += p[id] / total
        if reached >= top_p:
            break
    result = np.zeros(len(p))
    result[kept] = p[kept] / p[kept].sum()
    return result


CASES = [(1, 1, 0), (0.7, 1, 0), (1.5, 0.9, 0), (1, 1, 5), (1, 0.5, 7), (0.8, 0.3, 3), (1, 1e-9, 0)]


@pytest.mark.parametrize(("temperature", "top_p", "top_k"), CASES)
def test_draws_follow_the_distribution(temperature: float, top_p: float, top_k: int) -> None:
    rows = 15_000
    logits = (np.random.default_rng(3).standard_normal(75) * 2).astype(np.float32)
    expected = reference(logits, temperature, top_p, top_k)
    chance = chances(np.arange(rows, dtype=np.uint64) * 7 + 1, np.arange(rows) % 11)
    how = parameters(rows, temperature, top_p, top_k)
    drawn = draw(np.repeat(logits[None], rows, 0), chance, how)
    counts = np.bincount(drawn.tokens, minlength=75)
    assert counts[expected == 0].sum() == 0
    likely = expected * rows > 5
    squares = (counts - expected * rows)[likely] ** 2 / (expected * rows)[likely]
    freedom = max(int(likely.sum()) - 1, 1)
    assert squares.sum() < freedom + 5 * (2 * freedom) ** 0.5  # five standard deviations
    raw = logits - np.log(np.exp(logits.astype(np.float64)).sum())
    assert drawn.logprobs == pytest.approx(raw[drawn.tokens], abs=1e-5)


@given(st.integers(0, 10_000), st.integers(1, 60), st.floats(0.05, 1), st.integers(0, 80))
def test_an_inversion_is_that_of_the_reference(
    seed: int, size: int, top_p: float, top_k: int
) -> None:
    random = np.random.default_rng(seed)
    logits = (random.standard_normal((1, size)) * 3).astype(np.float32)
    how = parameters(1, 0.9, top_p, top_k)
    expected = reference(logits[0], 0.9, top_p, top_k)
    for chance in (0.0, random.random(), 1 - 2.0**-53):
        drawn = draw(logits, np.array([chance]), how)
        # A draw whose margin is rounding may fall either way.
        if drawn.margins[0] > 1e-5:
            assert expected[drawn.tokens[0]] > 0


def test_rows_with_different_parameters_do_not_mix() -> None:
    random = np.random.default_rng(0)
    logits = random.standard_normal((60, 33)).astype(np.float32)
    how = Parameters(
        random.choice([0, 0.5, 1, 2], 60).astype(np.float32),
        random.choice([0.4, 0.9, 1], 60).astype(np.float32),
        random.choice([0, 1, 4, 40], 60),
    )
    chance = random.random(60)
    together = draw(logits, chance, how)
    for row in range(60):
        one = slice(row, row + 1)
        each = Parameters(how.temperature[one], how.top_p[one], how.top_k[one])
        alone = draw(logits[one], chance[one], each)
        assert alone.tokens[0] == together.tokens[row]
        assert alone.logprobs[0] == together.logprobs[row]
        assert alone.margins[0] == together.margins[row]
        assert raw_logprobs(logits[row], alone.tokens)[0] == alone.logprobs[0]


def test_greedy_takes_the_likeliest_and_says_how_clearly() -> None:
    logits = np.log(np.array([[1, 2, 5, 2], [3, 3.0001, 1, 1]], np.float32))
    drawn = draw(logits, np.zeros(2), parameters(2, 0.0, 0.5, 2))
    assert drawn.tokens.tolist() == [2, 1]
    assert drawn.margins == pytest.approx([0.3, 0.0001 / 8], rel=0.1)


@pytest.mark.parametrize(
    "how", [(1, 1, 0), (0.6, 1, 0), (1, 0.7, 0), (1, 1, 6), (0, 1, 0), (1.3, 0.8, 9)]
)
def test_no_error_below_the_margin_changes_a_token(how: tuple[float, float, int]) -> None:
    random = np.random.default_rng(5)
    rows, error = 3_000, 1e-4
    logits = (random.standard_normal((rows, 24)) * 2).astype(np.float32)
    chance = random.random(rows)
    drawn = draw(logits, chance, parameters(rows, *how))
    off = logits + (random.random(logits.shape) * error - error / 2).astype(np.float32)
    again = draw(off, chance, parameters(rows, *how))
    changed = drawn.tokens != again.tokens
    assert changed.sum() < rows / 100
    assert drawn.margins[changed].max(initial=0) < error


def test_chances_are_uniform_and_independent_of_order() -> None:
    seeds = np.repeat(np.array([0, 1, 2**62 + 5], np.uint64), 20_000)
    steps = np.tile(np.arange(20_000), 3)
    drawn = chances(seeds, steps)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert np.histogram(drawn, 20, (0, 1))[0] == pytest.approx(3_000, abs=300)
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.02
    assert abs(np.corrcoef(drawn[:20_000], drawn[20_000:40_000])[0, 1]) < 0.03
    mixed = np.random.default_rng(0).permutation(60_000)
    assert (chances(seeds[mixed], steps[mixed]) == drawn[mixed]).all()


@pytest.mark.parametrize("axis", [lambda x: x, lambda x: x[:1]])
def test_equal_tokens_rank_by_id(axis: Callable[[Any], Any]) -> None:
    logits = np.zeros((4, 10), np.float32)
    drawn = draw(
        axis(logits), axis(np.linspace(0, 0.99, 4)), parameters(len(axis(logits)), top_k=3)
    )
    assert set(drawn.tokens.tolist()) <= {0, 1, 2}


def test_a_near_tie_among_tokens_that_are_not_drawn_makes_no_draw_doubtful() -> None:
    logits = np.array([[20.0, 19.0, *np.linspace(1.0, 0.9, 600)]], np.float32)
    how = Parameters(np.float32([0.6]), np.float32([0.95]), np.array([20]))
    drawn = draw(logits, np.array([0.3]), how)
    assert drawn.tokens.tolist() == [0]
    assert drawn.margins[0] > 0.01
