"""Sampling: one token for each row, every row with parameters and a seed of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tts_nano.arrays import Floats, Integers

Doubles = npt.NDArray[np.float64]

_PART = 32  # tokens whose weights are summed before sums are


@dataclass(frozen=True, slots=True)
class Drawn:
    """One token a row."""

    tokens: Integers
    """[rows]"""
    logprobs: Doubles
    """Raw: of the model's own distribution, before temperature and truncation; [rows]."""
    margins: Doubles
    """How much probabilities may be off before another token had been drawn, about; [rows]."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """How each row is drawn: [rows]."""

    temperature: Floats
    """0: the likeliest token."""
    top_p: Floats
    """Keep the likeliest tokens whose probabilities, at the temperature, sum up to this."""
    top_k: Integers
    """Keep so many of the likeliest before that; 0: all."""


def draw(logits: Floats, chance: Doubles, how: Parameters) -> Drawn:
    """Tokens of `logits` [rows, vocabulary] by inversion of their distributions."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    raw = np.exp(shifted)
    total = raw.sum(axis=1, dtype=np.float64)
    greedy = how.temperature == 0
    scale = np.where(greedy, np.float32(1), how.temperature)
    weights = raw if (scale == 1).all() else np.exp(shifted / scale[:, None])
    tokens, margins = _invert(weights, chance)
    cut = np.flatnonzero(~greedy & ((how.top_k > 0) | (how.top_p < 1)))
    if cut.size:
        tokens[cut], margins[cut] = _truncated(
            weights[cut], chance[cut], how.top_p[cut], how.top_k[cut]
        )
    margins *= scale
    if greedy.any():
        tokens[greedy] = shifted[greedy].argmax(axis=1)
        second = np.partition(raw[greedy], -2, axis=1)[:, -2]
        margins[greedy] = (1 - second) / total[greedy]
    return Drawn(tokens, shifted[np.arange(len(tokens)), tokens] - np.log(total), margins)


def raw_logprobs(logits: Floats, ids: Integers) -> Doubles:
    """Log-probabilities of `ids` under `logits` [vocabulary], as `draw` computes them."""
    shifted = logits - logits.max()
    found: Doubles = shifted[ids] - np.log(np.exp(shifted).sum(dtype=np.float64))
    return found


def _invert(weights: Floats, chance: Doubles) -> tuple[Integers, Doubles]:
    """The first token at which the sum of weights exceeds the chance's share of all.

    And how far the chance is from where another token begins. In two stages, since sums over all
    of a vocabulary are slow: first the part of it, then the token in the part.
    """
    count, size = weights.shape
    rows = np.arange(count)
    parts = np.zeros((count, -(-size // _PART), _PART), np.float32)
    parts.reshape(count, -1)[:, :size] = weights
    sums = parts.sum(axis=2).cumsum(axis=1, dtype=np.float64)
    total = sums[:, -1]
    target = chance * total
    part = np.minimum((sums <= target[:, None]).sum(axis=1), sums.shape[1] - 1)
    rest = target - np.where(part > 0, sums[rows, part - 1], 0.0)
    chosen = parts[rows, part]
    within = chosen.cumsum(axis=1, dtype=np.float64)
    # The two kinds of sums may differ in the last bits: the part's last likely token is its end.
    last = _PART - 1 - (chosen[:, ::-1] > 0).argmax(axis=1)
    place = np.minimum((within <= rest[:, None]).sum(axis=1), last)
    return part * _PART + place, _distance(within, chosen, place, rest) / total


def _truncated(
    weights: Floats, chance: Doubles, top_p: Floats, top_k: Integers
) -> tuple[Integers, Doubles]:
    """Like `_invert`, of the likeliest tokens only; equal ones rank in the order of their ids."""
    count, size = weights.shape
    rows = np.arange(count)
    order = np.argsort(-weights, axis=1, kind="stable")
    ranked = np.take_along_axis(weights, order, axis=1).astype(np.float64)
    most = np.where((top_k > 0) & (top_k < size), top_k, size)
    beyond = ranked[rows, np.minimum(most, size - 1)]
    # By how little the token after the last one kept was not kept instead of it.
    gap = (ranked[rows, most - 1] - beyond) / ranked.sum(axis=1)
    ranked[np.arange(size) >= most[:, None]] = 0.0
    sums = ranked.cumsum(axis=1)
    shares = (sums - ranked) / sums[:, -1:]  # of the likelier ones
    shares[:, 0] = 0.0
    near_share = np.abs(shares[:, 1:] - top_p[:, None]).min(axis=1, initial=np.inf)
    near_share[top_p >= 1] = np.inf
    ranked[(shares >= top_p[:, None]) & (np.arange(size) > 0)] = 0.0
    sums = ranked.cumsum(axis=1)
    target = chance * sums[:, -1]
    last = (ranked > 0).sum(axis=1) - 1
    place = np.minimum((sums <= target[:, None]).sum(axis=1), last)
    margins = _distance(sums, ranked, place, target) / sums[:, -1]
    # Which of two unlikely tokens is the last one kept matters to nobody who draws another one.
    near_rank = np.where((most < size) & (place == most - 1), gap, np.inf)
    return order[rows, place], np.minimum(margins, np.minimum(near_rank, near_share))


def _distance(
    sums: Doubles, weights: npt.NDArray[np.floating], place: Integers, target: Doubles
) -> Doubles:
    """From `target` to the nearer end of the interval that it lies in."""
    rows = np.arange(len(place))
    upper = sums[rows, place]
    distance: Doubles = np.minimum(upper - target, target - (upper - weights[rows, place]))
    return distance
