"""What cannot be run is refused with its path and the reason."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tts.errors import ConfigError
from tts_nano import NanoBackend
from tts_nano.checkpoint import Checkpoint
from tts_nano.model import Model


def edit(path: Path, **changes: object) -> None:
    content = json.loads(path.read_text())
    content.update(changes)
    path.write_text(json.dumps(content))


def weights(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    tensors = dict(load_file(folder / "model.safetensors"))
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def write_bytes(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)


def header(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    data = (folder / "model.safetensors").read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    content = json.loads(data[8 : 8 + length])
    change(content)
    text = json.dumps(content).encode()
    write_bytes(folder, struct.pack("<Q", len(text)) + text + data[8 + length :])


def shorten(folder: Path, keep: Callable[[int], int]) -> None:
    data = (folder / "model.safetensors").read_bytes()
    write_bytes(folder, data[: keep(len(data))])


GATE = "model.layers.1.mlp.gate_proj.weight"
BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), r"config.json: No such file"),
    "config is no JSON": (lambda f: (f / "config.json").write_text("{"), "config.json: not JSON"),
    "config is a list": (lambda f: (f / "config.json").write_text("[]"), "expected an object"),
    "another architecture": (
        lambda f: edit(f / "config.json", architectures=["MambaForCausalLM"]),
        "'MambaForCausalLM' is not for the nano engine.*transformers, vllm or sglang",
    ),
    "no architecture": (lambda f: edit(f / "config.json", architectures=None), "architecture None"),
    "sliding window": (lambda f: edit(f / "config.json", use_sliding_window=True), "sliding"),
    "quantized": (lambda f: edit(f / "config.json", quantization_config={"bits": 4}), "quantized"),
    "yarn": (
        lambda f: edit(f / "config.json", rope_scaling={"rope_type": "yarn", "factor": 4}),
        "rope_type 'yarn'.*vllm",
    ),
    "heads that cannot be shared": (
        lambda f: edit(f / "config.json", num_key_value_heads=3),
        "4 heads cannot share 3",
    ),
    "a size that is none": (lambda f: edit(f / "config.json", hidden_size="64"), "hidden_size"),
    "an end that is no token": (
        lambda f: edit(f / "config.json", eos_token_id=300),
        "eos_token_id 300",
    ),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "safetensors: No such file"),
    "weights cut in the data": (lambda f: shorten(f, lambda n: n - 9), "truncated.*ends at"),
    "weights cut in the header": (lambda f: shorten(f, lambda n: 200), "truncated"),
    "empty weights": (lambda f: write_bytes(f, b""), "truncated"),
    "a header that is no JSON": (
        lambda f: write_bytes(f, struct.pack("<Q", 4) + b"\xff{[]" + b"0" * 99),
        "header is not JSON",
    ),
    "a header that is a list": (
        lambda f: write_bytes(f, struct.pack("<Q", 2) + b"[]"),
        "header is not an object",
    ),
    "an entry without shape": (lambda f: header(f, lambda h: h[GATE].pop("shape")), "malformed"),
    "a negative size": (
        lambda f: header(f, lambda h: h[GATE].update(shape=[-160, -64])),
        "malformed",
    ),
    "a shape of another size": (
        lambda f: header(f, lambda h: h[GATE].update(shape=[160, 65])),
        "gate_proj.* bytes",
    ),
    "another type": (lambda f: header(f, lambda h: h[GATE].update(dtype="F8_E4M3")), "F8_E4M3"),
    "a missing tensor": (lambda f: weights(f, lambda w: w.pop(GATE)), f"no tensor '{GATE}'"),
    "a tensor of another shape": (
        lambda f: weights(f, lambda w: w.update({GATE: np.zeros((64, 160), np.float32)})),
        r"gate_proj.weight is \[64, 160\]; config.json asks for \[160, 64\]",
    ),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json: No such file"),
    "a tokenizer that is none": (
        lambda f: (f / "tokenizer.json").write_text('{"version": "1.0"}'),
        "tokenizer.json: not a tokenizer",
    ),
    "a tokenizer of another model": (
        lambda f: edit(
            f / "tokenizer.json",
            added_tokens=[
                {"id": 400, "content": "<x>", "special": True, "single_word": False,
                 "lstrip": False, "rstrip": False, "normalized": False}
            ],
            model={"type": "WordLevel", "vocab": {"a": 0, "b": 350}, "unk_token": "a"},
        ),
        "not of the same model",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named(name: str, make_checkpoint: Any) -> None:
    folder = make_checkpoint()
    damage, reason = BROKEN[name]
    damage(folder)
    with pytest.raises(ConfigError, match=reason) as caught:
        NanoBackend.load(folder)
    assert str(folder) in str(caught.value)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        NanoBackend.load(tmp_path / "nowhere")


@pytest.mark.parametrize("knob", [{"cache_bytes": -1}, {"threads": 0}, {"max_batch": 0}])
def test_knobs_have_ranges(knob: dict[str, int], tiny: Path) -> None:
    with pytest.raises(ConfigError, match=next(iter(knob))):
        NanoBackend.load(tiny, **knob)


def test_all_stored_types_are_read(tmp_path: Path) -> None:
    values = np.array([[0.5, -2.0, 1.0, 3.140625]], np.float32)
    raw = {"F32": values, "F16": values.astype(np.float16)}
    raw["BF16"] = (values.view(np.uint32) >> 16).astype(np.uint16)
    for dtype, data in raw.items():
        entry = {"dtype": dtype, "shape": [1, 4], "data_offsets": [0, data.nbytes]}
        text = json.dumps({"__metadata__": {"format": "pt"}, "x": entry}).encode()
        content = struct.pack("<Q", len(text)) + text + data.tobytes()
        (tmp_path / "model.safetensors").write_bytes(content)
        assert np.array_equal(Checkpoint(tmp_path).read("x", (1, 4)), values)


def test_shards_are_one_model(make_checkpoint: Any) -> None:
    folder = make_checkpoint()
    whole = Model.load(folder)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    places: dict[str, str] = {}
    for number, half in enumerate((list(tensors)[::2], list(tensors)[1::2])):
        file = f"model-{number}.safetensors"
        save_file({name: tensors[name] for name in half}, folder / file)
        places |= dict.fromkeys(half, file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    parts = Model.load(folder)
    assert np.array_equal(parts._embedding, whole._embedding)
    assert np.array_equal(parts._layers[1].down._weight, whole._layers[1].down._weight)
    (folder / "model-1.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"model-1.safetensors: No such file"):
        Model.load(folder)
    index.write_text(json.dumps({"weight_map": [1]}))
    with pytest.raises(ConfigError, match="weight_map"):
        Model.load(folder)


def test_ends_of_the_generation_config_count(make_checkpoint: Any) -> None:
    folder = make_checkpoint()
    generation = folder / "generation_config.json"
    generation.write_text(json.dumps({"eos_token_id": [0, 1], "top_p": 0.8, "temperature": 0.6}))
    model = NanoBackend.load(folder).model
    assert model.eos_ids == (0, 1)
    assert (model.sampling.temperature, model.sampling.top_p, model.sampling.top_k) == (0.6, 0.8, 0)
