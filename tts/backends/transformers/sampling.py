"""Sampling: a token for each row from float32 logits, each with its own parameters and chance.

By inversion, in the order of token ids (of probabilities, where they are cut), in the way of the
embedded engine: the same model draws the same sample from a seed through either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch

from tts.backends.base import Sampling
from tts.backends.transformers.layout import Tensor

_PART: Final = 64
"""Tokens whose weights are summed before sums are."""


def draw(
    logits: Tensor, chances: Sequence[float], how: Sequence[Sampling]
) -> tuple[list[int], list[float]]:
    """Tokens, and their raw log-probabilities.

    Args:
        logits: [rows, vocabulary], float32.
        chances: a number in [0, 1) for each row.
        how: each row is drawn.
    """
    shifted = logits - logits.max(dim=1, keepdim=True).values
    raw = shifted.exp()
    total = raw.sum(dim=1, dtype=torch.float64)
    device = logits.device
    tokens = torch.zeros(len(how), dtype=torch.int64, device=device)
    greedy = [n for n, each in enumerate(how) if each.temperature == 0]
    if greedy:
        tokens[greedy] = shifted[greedy].argmax(dim=1)
    for truncated in (False, True):
        rows = [
            n
            for n, each in enumerate(how)
            if each.temperature > 0 and (each.top_k > 0 or each.top_p < 1) == truncated
        ]
        if not rows:
            continue
        scale = torch.tensor([how[n].temperature for n in rows], device=device)
        weights = raw[rows] if (scale == 1).all() else (shifted[rows] / scale[:, None]).exp()
        chance = torch.tensor([chances[n] for n in rows], dtype=torch.float64, device=device)
        if truncated:
            tokens[rows] = _truncated(weights, chance, [how[n] for n in rows])
        else:
            tokens[rows] = _inverted(weights, chance)
    logprobs = shifted.gather(1, tokens[:, None])[:, 0].double() - total.log()
    return tokens.tolist(), [min(0.0, each) for each in logprobs.tolist()]


def raw_logprobs(logits: Tensor, ids: Sequence[int]) -> tuple[float, ...]:
    """Log-probabilities of `ids` under `logits` [vocabulary]."""
    shifted = logits - logits.max()
    total = shifted.exp().sum(dtype=torch.float64).log()
    return tuple(min(0.0, each) for each in (shifted[list(ids)].double() - total).tolist())


def _inverted(weights: Tensor, chance: Tensor) -> Tensor:
    """The first token at which the sum of weights exceeds the chance's share of all: [rows].

    First the part of the vocabulary, then the token in it: sums over all of it are slow.
    """
    count, size = weights.shape
    rows = torch.arange(count, device=weights.device)
    parts = torch.nn.functional.pad(weights, (0, -size % _PART)).unflatten(1, (-1, _PART))
    sums = parts.sum(dim=2, dtype=torch.float64).cumsum(dim=1)
    target = chance * sums[:, -1]
    part = (sums <= target[:, None]).sum(dim=1).clamp(max=sums.shape[1] - 1)
    before = torch.where(part > 0, sums[rows, (part - 1).clamp(min=0)], 0.0)
    chosen = parts[rows, part].double()
    within = chosen.cumsum(dim=1)
    # The two kinds of sums may differ in the last bits: the part's last likely token is its end.
    last = _PART - 1 - (chosen > 0).flip(1).int().argmax(dim=1)
    place = (within <= (target - before)[:, None]).sum(dim=1)
    return part * _PART + torch.minimum(place, last)


def _truncated(weights: Tensor, chance: Tensor, how: Sequence[Sampling]) -> Tensor:
    """Like `_inverted`, of the likeliest tokens only; equal ones rank in the order of their ids."""
    count, size = weights.shape
    device = weights.device
    ranked, order = weights.sort(dim=1, descending=True, stable=True)
    ranked = ranked.double()
    most = torch.tensor([each.top_k or size for each in how], device=device)
    top_p = torch.tensor([each.top_p for each in how], dtype=torch.float64, device=device)
    place = torch.arange(size, device=device)
    ranked = ranked.masked_fill(place >= most[:, None], 0.0)
    sums = ranked.cumsum(dim=1)
    likelier = (sums - ranked) / sums[:, -1:]
    ranked = ranked.masked_fill((likelier >= top_p[:, None]) & (place > 0), 0.0)
    sums = ranked.cumsum(dim=1)
    last = (ranked > 0).sum(dim=1) - 1
    found = (sums <= (chance * sums[:, -1])[:, None]).sum(dim=1)
    return order[torch.arange(count, device=device), torch.minimum(found, last)]
