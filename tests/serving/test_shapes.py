"""Shapes of models are those of their files, and of their publications."""

import json
from pathlib import Path

import pytest

from tts.backends.folder import count_parameters
from tts.errors import ConfigError
from tts.serving.shapes import PUBLISHED, precision_of, read_shape, shape_of
from tts_nano import model_folder

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "vocab_size": 100,
}


def folder_with(path: Path, **changes: object) -> Path:
    (path / "config.json").write_text(json.dumps({**CONFIG, **changes}))
    return path


@pytest.mark.parametrize("role", ["policy", "verifier"])
def test_parameters_that_follow_from_the_sizes_are_those_in_the_weights(role, tmp_path):
    folder = model_folder(role)
    counted = count_parameters(folder)
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    assert read_shape(tmp_path).parameters == counted  # no weights beside it
    assert read_shape(folder).parameters == counted


@pytest.mark.parametrize(
    ("name", "parameters", "token_numbers"),
    [
        # As the Hub counts in the weights; keys and values: 2 x layers x kv heads x head.
        ("Qwen/Qwen2.5-Math-1.5B", 1_543_714_304, 2 * 28 * 2 * 128),
        ("Qwen/Qwen2.5-Math-7B-Instruct", 7_615_616_512, 2 * 28 * 4 * 128),
        ("GenPRM/GenPRM-1.5B", 1_777_088_000, 2 * 28 * 2 * 128),
        ("GenPRM/GenPRM-7B", 7_615_616_512, 2 * 28 * 4 * 128),
        ("meta-llama/Llama-3.2-1B", 1_235_814_400, 2 * 16 * 8 * 64),
        ("meta-llama/Llama-3.2-3B", 3_212_749_824, 2 * 28 * 8 * 128),
    ],
)
def test_published_models_have_as_many_parameters_as_their_weights(name, parameters, token_numbers):
    shape = shape_of(name)
    assert shape.parameters == parameters
    assert shape.cache_numbers() == token_numbers


def test_a_reward_model_has_the_size_that_its_card_says():
    shape = shape_of("Qwen/Qwen2.5-Math-PRM-7B")
    assert round(shape.parameters / 1e9, 2) == 7.08
    assert shape.cache_numbers() == 2 * 28 * 4 * 128


def test_a_published_model_is_found_by_the_end_of_its_name_in_any_case():
    assert shape_of("genprm-7b") is PUBLISHED["GenPRM/GenPRM-7B"]


def test_heads_that_share_nothing_are_as_many_as_keys_and_values(tmp_path):
    assert read_shape(folder_with(tmp_path)).cache_numbers() == 2 * 2 * 4 * 16
    shared = folder_with(tmp_path, num_key_value_heads=1, head_dim=8)
    assert read_shape(shared).cache_numbers() == 2 * 2 * 1 * 8


@pytest.mark.parametrize(
    "changes",
    [
        {"quantization_config": {"bits": 4}},
        {"num_experts": 8},
        {"kv_lora_rank": 512},
        {"use_sliding_window": True},
        {"num_hidden_layers": "two"},
        {"hidden_size": None},
        {"architectures": ["Qwen2ForProcessRewardModel"]},  # whose head no size tells
    ],
)
def test_a_model_of_another_kind_is_refused_with_its_file(changes, tmp_path):
    with pytest.raises(ConfigError, match=str(tmp_path)):
        read_shape(folder_with(tmp_path, **changes))


def test_an_unknown_name_lists_those_that_are_known():
    with pytest.raises(ConfigError, match=r"nobody/nothing.*GenPRM/GenPRM-7B"):
        shape_of("nobody/nothing")
    with pytest.raises(ConfigError, match=r"'bf16'.*bfloat16"):
        precision_of("bf16")
