"""Sampling many solutions at once: every problem's prompt is read once, all samples decode in step.

Float32 on one CPU thread; only what evaluation and rollouts need. Serving the models is the job of
the decoder in `tts_nano`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from training.model import NORM_EPSILON, Qwen2

COMPACT_BELOW: Final = 0.7
"""Finished rows are dropped once fewer than this share of the rows still decode."""


class Sampler:
    """Samples from a model at a temperature, without truncation of the distribution."""

    def __init__(
        self, model: Qwen2, end_token: int, longest: int, temperature: float = 1.0
    ) -> None:
        self.model = model
        self.end_token = end_token
        self.longest = longest
        """Most tokens of prompt and output together; longer outputs are cut."""
        self.temperature = temperature

    @torch.inference_mode()
    def sample(
        self, prompts: Sequence[Sequence[int]], samples: int, generator: torch.Generator
    ) -> list[list[list[int]]]:
        """For every prompt, `samples` outputs as token ids without the end token."""
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        widest = int(lengths.max())
        tokens = torch.zeros(len(prompts), widest, dtype=torch.long)
        for row, prompt in enumerate(prompts):
            tokens[row, : len(prompt)] = torch.tensor(prompt)
        cache = Cache(self.model, len(prompts), self.longest)
        position = torch.arange(widest).expand(len(prompts), widest)
        hidden = forward(self.model, tokens, position, cache)
        last = hidden[torch.arange(len(prompts)), lengths - 1]
        owner = torch.arange(len(prompts)).repeat_interleave(samples)
        cache.take(owner)
        hidden, position = last[owner], lengths[owner]
        row_of = list(range(len(owner)))
        outputs: list[list[int]] = [[] for _ in row_of]
        while row_of:
            logits = functional.linear(hidden, self.model.embedding) / self.temperature
            chosen = torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]
            alive = []
            for index, (row, token) in enumerate(zip(row_of, chosen.tolist(), strict=True)):
                if row < 0:
                    continue
                if token == self.end_token or int(position[index]) + 1 >= self.longest:
                    row_of[index] = -1
                    continue
                outputs[row].append(token)
                alive.append(index)
            if len(alive) < COMPACT_BELOW * len(row_of):
                keep = torch.tensor(alive, dtype=torch.long)
                cache.take(keep)
                chosen, position = chosen[keep], position[keep]
                row_of = [row_of[index] for index in alive]
            if row_of:
                # Finished rows decode on until they are dropped, but not past the cache.
                position = position.clamp(max=self.longest - 1)
                hidden = forward(self.model, chosen[:, None], position[:, None], cache)[:, 0]
                position = position + 1
        return [outputs[i * samples : (i + 1) * samples] for i in range(len(prompts))]


class Cache:
    """Keys and values, layers x rows x heads x positions x numbers."""

    def __init__(self, model: Qwen2, rows: int, positions: int) -> None:
        shape = model.shape
        size = (rows, shape.key_value_heads, positions, shape.head)
        self.keys = [torch.zeros(size) for _ in range(shape.layers)]
        self.values = [torch.zeros(size) for _ in range(shape.layers)]

    def take(self, rows: Tensor) -> None:
        self.keys = [each[rows] for each in self.keys]
        self.values = [each[rows] for each in self.values]


def forward(model: Qwen2, tokens: Tensor, position: Tensor, cache: Cache) -> Tensor:
    """Final hidden states; keys and values are stored at `position` (rows x length)."""
    shape = model.shape
    rows, length = tokens.shape
    kv, group, head = shape.key_value_heads, shape.heads // shape.key_value_heads, shape.head
    cos, sin = model.cos[position][:, None], model.sin[position][:, None]
    seen = int(position.max()) + 1
    hidden = torch.arange(seen) > position[:, :, None]
    mask = torch.zeros(rows, 1, length, seen).masked_fill_(hidden[:, None], -1e9)
    mask = mask.repeat(1, 1, group, 1)
    every, heads = torch.arange(rows)[:, None, None], torch.arange(kv)[None, :, None]
    x = functional.embedding(tokens, model.embedding)
    for i in range(shape.layers):
        normed = functional.rms_norm(x, (shape.hidden,), model.attention_norm[i], NORM_EPSILON)
        z = functional.linear(normed, model.qkv[i], model.qkv_bias[i])
        z = z.view(rows, length, shape.heads + 2 * kv, head).transpose(1, 2)
        qk, v = z[:, : shape.heads + kv], z[:, shape.heads + kv :]
        a, b = qk.chunk(2, -1)
        qk = qk * cos + torch.cat([-b, a], -1) * sin
        q, k = qk[:, : shape.heads], qk[:, shape.heads :]
        cache.keys[i][every, heads, position[:, None]] = k
        cache.values[i][every, heads, position[:, None]] = v
        q = q.reshape(rows, kv, group * length, head) * head**-0.5
        scores = q @ cache.keys[i][:, :, :seen].transpose(2, 3) + mask
        mixed = scores.softmax(-1) @ cache.values[i][:, :, :seen]
        mixed = mixed.reshape(rows, shape.heads, length, head).transpose(1, 2)
        x = x + functional.linear(mixed.reshape(rows, length, -1), model.out[i])
        normed = functional.rms_norm(x, (shape.hidden,), model.mlp_norm[i], NORM_EPSILON)
        gate, up = functional.linear(normed, model.gate_up[i]).chunk(2, -1)
        x = x + functional.linear(functional.silu(gate) * up, model.down[i])
    return functional.rms_norm(x, (shape.hidden,), model.final_norm, NORM_EPSILON)
