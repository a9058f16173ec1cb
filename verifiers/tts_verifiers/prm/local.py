"""Local: heads in this process, on transformers and torch (the extra `transformers`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from tts.backends.base import ModelInfo
from tts.backends.tokenizer import FolderTokenizer
from tts.errors import ConfigError, PluginError
from tts.extras import install
from tts.verifier import Cost, Meter
from tts_verifiers.prm.heads import HeadInput, p_right


class LocalHead:
    """Implements `StepScores`: a causal model without its vocabulary, and linear layers on top.

    None of a checkpoint's own code is run: the trunk is transformers', the head is read from the
    checkpoint's tensors by their names. Texts are read one at a time, unpadded.
    """

    def __init__(self, folder: str, layers: Sequence[str], device: str = "") -> None:
        """
        Args:
            folder: a checkpoint in safetensors, with its `config.json` and `tokenizer.json`.
            layers: the names of the head's linear layers, a ReLU between each two.
            device: of torch; a GPU where there is one, if empty.

        Raises:
            ConfigError: the folder cannot be used.
            PluginError: torch or transformers is not installed.
        """
        try:
            import torch
            import transformers
        except ImportError as error:
            raise PluginError(f"{error}: {install('transformers')}") from None
        if not (Path(folder) / "config.json").is_file():
            raise ConfigError(f"{folder}: no folder of a model (it has no config.json)")
        self._torch = torch
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.tokenizer = FolderTokenizer(Path(folder))
        self._head = [
            tuple(tensor.to(self._device) for tensor in layer) for layer in _head(folder, layers)
        ]
        self._trunk: Any
        self._trunk, found = transformers.AutoModel.from_pretrained(
            folder, dtype="auto", output_loading_info=True
        )
        if found["missing_keys"]:  # transformers makes up what it does not find
            raise ConfigError(f"{folder}: no tensor {min(found['missing_keys'])!r}")
        self._trunk.eval().to(self._device)
        count = sum(parameter.numel() for parameter in self._trunk.parameters())
        self.model = ModelInfo(Path(folder).name, count, self._trunk.config.max_position_embeddings)
        self._alone = anyio.Lock()

    async def scores(self, input: HeadInput, meter: Meter) -> Sequence[float]:
        async with self._alone:
            with meter.call(Cost(len(input.ids), samples=1, calls=1)):
                return await anyio.to_thread.run_sync(self._read, input)

    async def aclose(self) -> None:
        self._trunk = None

    def _read(self, input: HeadInput) -> list[float]:
        torch = self._torch
        with torch.inference_mode():
            ids = torch.tensor([input.ids], device=self._device)
            hidden = self._trunk(input_ids=ids, use_cache=False).last_hidden_state[0]
            outputs = hidden[list(input.positions)]
            for depth, (weight, bias) in enumerate(self._head):
                if depth:
                    outputs = torch.relu(outputs)
                outputs = torch.nn.functional.linear(outputs.to(weight.dtype), weight, bias)
            outputs = outputs.float()
            if outputs.shape[1] == 2:
                outputs = outputs.softmax(dim=1)
        return [p_right(row) for row in outputs.tolist()]


def _head(folder: str, layers: Sequence[str]) -> list[tuple[Any, Any]]:
    """Weight and bias of each layer, in the type that they are stored in."""
    from safetensors import safe_open

    wanted = [f"{layer}.{part}" for layer in layers for part in ("weight", "bias")]
    found: dict[str, Any] = {}
    for path in sorted(Path(folder).glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            found |= {name: file.get_tensor(name) for name in file.keys() if name in wanted}  # noqa: SIM118
    missing = [name for name in wanted if name not in found]
    if missing:
        raise ConfigError(f"{folder}: no tensor {missing[0]!r}: not a model with this head")
    return [(found[f"{layer}.weight"], found[f"{layer}.bias"]) for layer in layers]
