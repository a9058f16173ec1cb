"""Model: the forward pass of a Llama-type decoder over any rows of tokens.

Rows are independent except in attention, which the caller gives: it alone knows which rows belong
to one sequence and where their keys and values live.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from tts_nano import rotary
from tts_nano.architecture import Architecture, read_architecture
from tts_nano.arrays import Floats, Integers
from tts_nano.attention import sums_in_order
from tts_nano.checkpoint import Checkpoint
from tts_nano.linear import MOST_ROWS_PADDED, Linear


class Attend(Protocol):
    """Attention of one layer for all rows of a forward pass."""

    def __call__(self, layer: int, q: Floats, k: Floats, v: Floats, out: Floats) -> None:
        """Store `k` and `v` [rows, kv_heads, head]; write the mix of values that `q` asks for.

        `q` and `out` are [rows, kv_heads, group, head]; `q` is scaled by head ** -0.5 already.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Layer:
    qkv: Linear
    """q, k and v, one after the other; the norm's gain, the scale of q and the order of pairs
    are part of the weights."""
    output: Linear
    gate_up: Linear
    """Both negated, so that silu(gate) * up is one division: -g / (1 + e^-g) * -u."""
    down: Linear


class Model:
    """Weights and the computation with them. Not for several threads at once."""

    def __init__(self, architecture: Architecture, checkpoint: Checkpoint) -> None:
        a = self.architecture = architecture
        self._embedding = checkpoint.read("model.embed_tokens.weight", (a.vocabulary, a.hidden))
        self._layers = [_read_layer(a, checkpoint, i) for i in range(a.layers)]
        self._final_gain = checkpoint.read("model.norm.weight", (a.hidden,))
        self._head = Linear(
            self._embedding
            if a.tied
            else checkpoint.read("lm_head.weight", (a.vocabulary, a.hidden))
        )
        self._turns = rotary.turns(a, min(a.context, 4096))
        self._rows = _Workspace(a, self._head.width, 64)

    @classmethod
    def load(cls, folder: Path) -> Model:
        """The model in a Hugging Face folder.

        Raises:
            ConfigError: it is not one that this engine runs, or a file is missing or broken.
        """
        return cls(read_architecture(folder), Checkpoint(folder))

    @property
    def parameters(self) -> int:
        """Their number, tied ones once."""
        a, width = self.architecture, self.architecture.head
        layer = a.hidden * (a.heads + 2 * a.kv_heads) * width + a.heads * width * a.hidden
        layer += 3 * a.hidden * a.feed_forward + 2 * a.hidden
        layer += (a.heads + 2 * a.kv_heads) * width * a.input_bias + a.hidden * a.output_bias
        return a.layers * layer + a.hidden + a.vocabulary * a.hidden * (1 if a.tied else 2)

    @property
    def exact(self) -> bool:
        """Whether results do not depend on the other rows, to the last bit."""
        linear = (self._head.exact, *(each.exact for each in self._matrices()))
        return all(linear) and sums_in_order(self.architecture.head, self.architecture.group)

    def forward(self, tokens: Integers, positions: Integers, attend: Attend) -> Floats:
        """Final hidden states of `tokens`, a view that the next call overwrites: [rows, hidden]."""
        a, rows = self.architecture, len(tokens)
        turned, width = a.heads + a.kv_heads, a.head
        work = self._work(rows)
        x = work.x[:rows]
        np.take(self._embedding, tokens, axis=0, out=x, mode="clip")
        turns = work.turns[:rows].reshape(rows, turned, width // 2)
        turns[:] = self._turns_of(positions)[:, None, :]
        for i, layer in enumerate(self._layers):
            _normalize(x, a.epsilon, work.normed[:rows])
            qkv = layer.qkv(work.normed, rows, work.qkv)
            qk = qkv[:, : turned * width].view(np.complex64)
            qk *= work.turns[:rows]
            q, k, v = np.split(qkv, (a.heads * width, turned * width), axis=1)
            attend(
                i,
                q.reshape(rows, a.kv_heads, a.group, width),
                k.reshape(rows, a.kv_heads, width),
                v.reshape(rows, a.kv_heads, width),
                work.mixed[:rows].reshape(rows, a.kv_heads, a.group, width),
            )
            x += layer.output(work.mixed, rows, work.added)
            _normalize(x, a.epsilon, work.normed[:rows])
            gate_up = layer.gate_up(work.normed, rows, work.gate_up)
            gate, up = gate_up[:, : a.feed_forward], gate_up[:, a.feed_forward :]
            act = work.act[:rows]
            np.exp(gate, out=act)
            act += 1.0
            np.divide(gate, act, out=act)
            act *= up
            x += layer.down(work.act, rows, work.added)
        _normalize(x, a.epsilon, work.normed[:rows])
        work.normed[:rows] *= self._final_gain
        return work.normed[:rows]

    def logits(self, hidden: Floats) -> Floats:
        """Of final hidden states, a view that the next call overwrites: [rows, vocabulary]."""
        rows = len(hidden)
        work = self._work(rows)
        work.normed[:rows] = hidden  # which may be a part of it
        return self._head(work.normed, rows, work.logits)

    def _turns_of(self, positions: Integers) -> rotary.Turns:
        furthest = int(positions.max())
        if furthest >= len(self._turns):
            self._turns = rotary.turns(self.architecture, 2 * furthest)
        return self._turns[positions]

    def _work(self, rows: int) -> _Workspace:
        if rows > self._rows.capacity:
            self._rows = _Workspace(self.architecture, self._head.width, rows)
        return self._rows

    def _matrices(self) -> Iterator[Linear]:
        for layer in self._layers:
            yield from (layer.qkv, layer.output, layer.gate_up, layer.down)


class _Workspace:
    """What a forward pass writes on the way, allocated once: [capacity, ...]."""

    def __init__(self, a: Architecture, vocabulary_width: int, rows: int) -> None:
        self.capacity = max(rows, MOST_ROWS_PADDED)
        turned = (a.heads + a.kv_heads) * a.head

        def buffer(width: int) -> Floats:
            return np.zeros((self.capacity, -(-width // 16) * 16), np.float32)

        self.x = np.zeros((self.capacity, a.hidden), np.float32)
        self.normed = np.zeros((self.capacity, a.hidden), np.float32)
        self.turns = np.zeros((self.capacity, turned // 2), np.complex64)
        self.qkv = buffer(turned + a.kv_heads * a.head)
        self.mixed = np.zeros((self.capacity, a.heads * a.head), np.float32)
        self.added = buffer(a.hidden)
        self.gate_up = buffer(2 * a.feed_forward)
        self.act = np.zeros((self.capacity, a.feed_forward), np.float32)
        self.logits = buffer(vocabulary_width)


def _normalize(x: Floats, epsilon: float, out: Floats) -> None:
    """RMSNorm without its gain."""
    size = np.einsum("ij,ij->i", x, x)
    size /= x.shape[1]
    size += epsilon
    np.sqrt(size, out=size)
    np.reciprocal(size, out=size)
    np.multiply(x, size[:, None], out=out)


def _read_layer(a: Architecture, checkpoint: Checkpoint, index: int) -> _Layer:
    prefix = f"model.layers.{index}."
    width = a.head

    def gain(name: str) -> Floats:
        return checkpoint.read(f"{prefix}{name}.weight", (a.hidden,))

    def weight(name: str, outputs: int, inputs: int) -> Floats:
        return checkpoint.read(f"{prefix}{name}.weight", (outputs, inputs))

    def bias(name: str, outputs: int) -> Floats:
        return checkpoint.read(f"{prefix}{name}.bias", (outputs,))

    sizes = {"q": a.heads * width, "k": a.kv_heads * width, "v": a.kv_heads * width}
    inputs = {part: f"self_attn.{part}_proj" for part in sizes}
    scales = {"q": np.float32(width**-0.5), "k": np.float32(1), "v": np.float32(1)}

    def arranged(part: str, rows: Floats) -> Floats:
        """Rows of q, k or v: scaled, and for q and k in the order in which they are turned."""
        if part != "v":
            heads = rows.reshape(-1, width, *rows.shape[1:])
            rows = heads[:, rotary.pairwise(width)].reshape(rows.shape)
        return rows * scales[part]

    qkv = [arranged(part, weight(inputs[part], size, a.hidden)) for part, size in sizes.items()]
    biases = (
        [arranged(part, bias(inputs[part], size)) for part, size in sizes.items()]
        if a.input_bias
        else None
    )
    gate_up = [weight(f"mlp.{part}_proj", a.feed_forward, a.hidden) for part in ("gate", "up")]
    return _Layer(
        qkv=Linear(
            np.concatenate(qkv) * gain("input_layernorm"),
            np.concatenate(biases) if biases is not None else None,
        ),
        output=Linear(
            weight("self_attn.o_proj", a.hidden, a.heads * width),
            bias("self_attn.o_proj", a.hidden) if a.output_bias else None,
        ),
        gate_up=Linear(-np.concatenate(gate_up) * gain("post_attention_layernorm")),
        down=Linear(weight("mlp.down_proj", a.hidden, a.feed_forward)),
    )
