"""Attention: over keys and values that stay where they are from pass to pass.

Registered with transformers, whose layers call `attention` with what they project; where the past
is, a pass knows: `PromptPass` reads a piece of one prompt, `TokenPass` one token of each row. Rows
that have a prompt in common read its keys and values once for all of them (cascade or "hydragen"
attention; Juravsky et al. 2024, section 3): its scores stand beside those of a row's own tokens in
one softmax.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import torch
from transformers import AttentionInterface

from tts.backends.transformers.layout import Layout, Tensor

NAME: Final = "tts_kept"
"""What transformers calls it."""


@dataclass(frozen=True, slots=True)
class How:
    """What a layer has to say of its attention."""

    scaling: float
    window: int | None
    """Tokens that are seen, the token itself included; None: all."""
    softcap: float | None
    """Scores go through softcap x tanh(scores / softcap)."""
    sinks: Tensor | None
    """A score for nothing, of each head: [heads]."""


class Pass(Protocol):
    """One passage through the layers."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, how: How) -> Tensor:
        """Keep `key` and `value` [rows, groups, tokens, size]; what `query` [rows, heads, tokens,
        size] sees: [rows, tokens, heads, size].
        """
        ...


class Spans(Protocol):
    """Keys and values of one prompt."""

    length: int
    planes: list[Tensor]
    """[count, heads, tokens, size] each."""


@dataclass(frozen=True, slots=True)
class Run:
    """Rows that have a prompt in common."""

    spans: Spans
    rows: Tensor
    """[n]"""


def attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    kept: Pass,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """As transformers calls it; no mask comes, since passes know what is seen."""
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    how = How(scaling, sliding_window, softcap, s_aux)
    return kept.attend(module.layer_idx, query, key, value, how), None


def register() -> None:
    """Make it known to transformers; again does nothing."""
    AttentionInterface.register(NAME, attention)


class Probe:
    """Notes what layers give; nothing is seen."""

    def __init__(self) -> None:
        self.layers: dict[int, tuple[Tensor, Tensor]] = {}

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, how: How) -> Tensor:
        self.layers[layer] = (key, value)
        rows, heads, tokens, _ = query.shape
        return query.new_zeros((rows, tokens, heads, value.shape[-1]))


class PromptPass:
    """Tokens `start` to `stop` of one prompt."""

    def __init__(self, layout: Layout, planes: Sequence[Tensor], start: int, stop: int) -> None:
        """`planes`: of the prompt, complete up to `start`."""
        self._layout = layout
        self._planes = planes
        self._start, self._stop = start, stop
        device = layout.device
        # How far back each key is from each query: [tokens, stop].
        self._back = torch.arange(start, stop, device=device)[:, None] - torch.arange(
            stop, device=device
        )

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, how: How) -> Tensor:
        keys, values = _of_layer(self._layout, self._planes, layer)
        keys[:, self._start : self._stop] = key[0]
        values[:, self._start : self._stop] = value[0]
        _, heads, tokens, size = query.shape
        groups = keys.shape[0]
        grouped = query[0].reshape(groups, -1, size)
        scores = _scores(grouped, keys[:, : self._stop], how).view(groups, -1, tokens, self._stop)
        scores.masked_fill_(_unseen(self._back, how.window), -torch.inf)
        sinks = None if how.sinks is None else how.sinks.view(groups, -1, 1, 1)
        weights = _softmax(scores, sinks).to(value.dtype)
        seen = torch.matmul(weights.view(groups, -1, self._stop), values[:, : self._stop])
        return seen.view(1, heads, tokens, -1).transpose(1, 2)


class TokenPass:
    """A token of each row."""

    def __init__(
        self, layout: Layout, planes: Sequence[Tensor], own: Sequence[int], runs: Sequence[Run]
    ) -> None:
        """
        Args:
            layout: of the model.
            planes: of the rows' own tokens: [count, rows or more, heads, tokens, size].
            own: how many of its own each row has; where its next one goes.
            runs: what rows have before those in common; a row is in at most one.
        """
        device = layout.device
        self._layout = layout
        self._planes = planes
        self._runs = runs
        self._rows = torch.arange(len(own), device=device)
        self._own = torch.tensor(own, device=device)
        self._width = max(own) + 1
        self._shared = max((run.spans.length for run in runs), default=0)
        self._back = self._back_to(self._width)
        self._hidden: dict[int | None, Tensor] = {}

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, how: How) -> Tensor:
        keys, values = _of_layer(self._layout, self._planes, layer)
        keys[self._rows, :, self._own] = key[:, :, 0]
        values[self._rows, :, self._own] = value[:, :, 0]
        rows, heads, _, size = query.shape
        groups = keys.shape[1]
        grouped = query.view(rows, groups, -1, size)
        scores = _scores(grouped, keys[:rows, :, : self._width], how)
        if self._runs:
            shared = scores.new_full((*scores.shape[:3], self._shared), -torch.inf)
            for run in self._runs:
                there, _ = _of_layer(self._layout, run.spans.planes, layer)
                theirs = _scores(_by_group(grouped[run.rows]), there, how)
                shared[run.rows, :, :, : run.spans.length] = _by_row(theirs, len(run.rows))
            scores = torch.cat((shared, scores), dim=-1)
        scores.masked_fill_(self._unseen(how.window)[:, None, None, :], -torch.inf)
        sinks = None if how.sinks is None else how.sinks.view(1, groups, -1, 1)
        weights = _softmax(scores, sinks).to(value.dtype)
        seen = torch.matmul(weights[..., self._shared :], values[:rows, :, : self._width])
        for run in self._runs:
            _, there = _of_layer(self._layout, run.spans.planes, layer)
            theirs = _by_group(weights[run.rows][..., : run.spans.length])
            seen[run.rows] += _by_row(torch.matmul(theirs, there), len(run.rows))
        return seen.reshape(rows, 1, heads, -1)

    def _back_to(self, width: int) -> Tensor:
        """How far back each key is from its row's token: [rows, shared + width].

        What a row has in common with nobody is further ahead than anything.
        """
        device = self._layout.device
        own = self._own[:, None] - torch.arange(width, device=device)
        shared = own.new_full((len(own), self._shared), -1)
        for run in self._runs:
            # The token's position is run.length + own.
            length = run.spans.length
            ahead = length - torch.arange(length, device=device)
            shared[run.rows, :length] = self._own[run.rows, None] + ahead
        return torch.cat((shared, own), dim=1)

    def _unseen(self, window: int | None) -> Tensor:
        if window not in self._hidden:
            self._hidden[window] = _unseen(self._back, window)
        return self._hidden[window]


def _of_layer(layout: Layout, planes: Sequence[Tensor], layer: int) -> tuple[Tensor, Tensor]:
    """Keys and values of a layer, as views."""
    key, value = layout.keys[layer], layout.values[layer]
    return planes[key.plane][key.number], planes[value.plane][value.number]


def _unseen(back: Tensor, window: int | None) -> Tensor:
    return back < 0 if window is None else (back < 0) | (back >= window)


def _scores(query: Tensor, keys: Tensor, how: How) -> Tensor:
    scores = torch.matmul(query, keys.transpose(-1, -2)) * how.scaling
    return scores if how.softcap is None else torch.tanh(scores / how.softcap) * how.softcap


def _softmax(scores: Tensor, sinks: Tensor | None) -> Tensor:
    """Over the last axis, in float32; `sinks` take a share of it that goes to nothing."""
    if sinks is None:
        return torch.softmax(scores, dim=-1, dtype=torch.float32)
    column = sinks.expand(*scores.shape[:-1], 1).to(scores.dtype)
    whole = torch.cat((scores, column), dim=-1)
    return torch.softmax(whole, dim=-1, dtype=torch.float32)[..., :-1]


def _by_group(each: Tensor) -> Tensor:
    """From [n, groups, per group, size] to [groups, n x per group, size]."""
    return each.transpose(0, 1).flatten(1, 2)


def _by_row(each: Tensor, rows: int) -> Tensor:
    """The way back."""
    return each.unflatten(1, (rows, -1)).transpose(0, 1)
