"""Model: a causal language model of transformers whose attention reads what we keep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
import transformers

from tts.backends.transformers.attention import (
    NAME,
    Pass,
    Probe,
    PromptPass,
    register,
)
from tts.backends.transformers.layout import Layout, Tensor
from tts.errors import ConfigError

_TRIAL: Final = 12
"""Tokens on which our attention is compared with the model's own."""
_NOISE: Final = {torch.float32: 2e-3, torch.float16: 0.1, torch.bfloat16: 0.5}
"""By how much log-probabilities of likely tokens may differ: nats."""


class CausalModel:
    """Layers of transformers, and the layout of what they keep."""

    def __init__(self, folder: Path, device: str, dtype: str) -> None:
        """
        Args:
            folder: `config.json` and safetensors; none of its own code is run.
            device: `cpu`, `cuda`, `cuda:1`, `mps`.
            dtype: `float32`, `bfloat16`, `float16`, or `auto`: as stored, on a CPU float32.

        Raises:
            ConfigError: there is no such device, or transformers cannot load the folder, or its
                attention cannot be taken over.
        """
        self.device = _device(device)
        wanted = "float32" if dtype == "auto" and self.device.type == "cpu" else dtype
        register()
        try:
            self._model, found = transformers.AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=wanted if wanted == "auto" else getattr(torch, wanted),
                attn_implementation="eager",
                output_loading_info=True,
            )
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise ConfigError(f"{folder}: transformers cannot load it: {error}") from None
        if found["missing_keys"]:  # transformers makes up what it does not find
            raise ConfigError(f"{folder}: no tensor {min(found['missing_keys'])!r}")
        self._model.eval().to(self.device)
        self.parameters = sum(parameter.numel() for parameter in self._model.parameters())
        self.vocabulary: int = self._model.get_input_embeddings().num_embeddings
        config = self._model.config.get_text_config()
        self.context: int | None = getattr(config, "max_position_embeddings", None)
        with torch.inference_mode():
            self.layout = self._taken_over(folder, config.num_hidden_layers)

    def forward(self, tokens: Sequence[Sequence[int]], first: Sequence[int], kept: Pass) -> Tensor:
        """Logits after the last token of each row: [rows, vocabulary], float32.

        Args:
            tokens: of each row, equally many.
            first: the position of each row's first token.
            kept: where keys and values are, and go.
        """
        ids = torch.tensor(tokens, device=self.device)
        starts = torch.tensor(first, device=self.device)
        places = starts[:, None] + torch.arange(ids.shape[1], device=self.device)
        output = self._model(
            input_ids=ids, position_ids=places, use_cache=False, logits_to_keep=1, kept=kept
        )
        logits = output.logits[:, -1].float()
        # Apple's devices have no float64, which sampling sums in.
        return logits.cpu() if self.device.type == "mps" else logits

    def _taken_over(self, folder: Path, layers: int) -> Layout:
        """Exchange the attention, and see that it computes the same as before, in two pieces."""
        count = min(_TRIAL, self.vocabulary)
        ids = [(7919 * (n + 1)) % self.vocabulary for n in range(count)]
        batch = torch.tensor([ids], device=self.device)
        expected = self._model(input_ids=batch, use_cache=False).logits[0, -1].float()
        probe = Probe()
        refusal = f"{folder}: a {self._model.config.model_type} model's attention"
        try:
            self._model.set_attn_implementation(NAME)
            self.forward([ids[:1]], [0], probe)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ConfigError(f"{refusal} cannot be exchanged: {error}") from None
        if sorted(probe.layers) != list(range(layers)):
            raise ConfigError(
                f"{refusal} is not in each of its {layers} layers: use a server (vllm, sglang)"
            )
        layout = Layout.of([probe.layers[layer] for layer in range(layers)])
        planes = layout.tensors(None, count)
        for start, stop in ((0, count // 2), (count // 2, count)):
            kept = PromptPass(layout, planes, start, stop)
            found = self.forward([ids[start:stop]], [start], kept)
        ours, theirs = found[0].log_softmax(-1).to(self.device), expected.log_softmax(-1)
        likely = theirs.topk(min(8, self.vocabulary)).indices
        off = float((ours - theirs)[likely].abs().max())
        if not off <= _NOISE.get(layout.dtype, 0.5):
            raise ConfigError(
                f"{refusal} is not what it seems: log-probabilities are off by {off:.3g} when it "
                "is exchanged: use a server (vllm, sglang)"
            )
        return layout


def _device(name: str) -> Any:
    """Raises:
    ConfigError: there is no such device here.
    """
    if not name:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kinds = {"cpu": True, "cuda": torch.cuda.is_available()}
    kinds["mps"] = torch.backends.mps.is_available()
    if not kinds.get(name.partition(":")[0], False):
        here = ", ".join(kind for kind, there in kinds.items() if there)
        raise ConfigError(f"device={name}: there is no such device here (there is: {here})")
    return torch.device(name)
