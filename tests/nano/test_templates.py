"""Conversations become the text that a model was trained on."""

import json
from pathlib import Path
from typing import Any

import pytest

from tts.backends.templates import template_of
from tts.backends.tokenizer import FolderTokenizer
from tts.errors import ConfigError

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN_2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
LLAMA_3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}"
    "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    "+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
    "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
USER = [{"role": "user", "content": " Hi "}]
LONGER = [{"role": "system", "content": "Be brief."}, *USER, {"role": "assistant", "content": "Yo"}]

EXPECTED = {
    CHATML: "<|im_start|>user\n Hi <|im_end|>\n<|im_start|>assistant\n",
    QWEN_2: "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\n Hi <|im_end|>\n<|im_start|>assistant\n",
    LLAMA_3: "<bos><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
}


@pytest.mark.parametrize("source", EXPECTED)
def test_known_templates_need_no_jinja(source: str) -> None:
    assert template_of(source, {"bos_token": "<bos>"})(USER) == EXPECTED[source]


@pytest.mark.parametrize("source", EXPECTED)
def test_known_templates_are_what_jinja_makes_of_them(source: str) -> None:
    jinja2 = pytest.importorskip("jinja2")
    special = {"bos_token": "<bos>"}
    reference = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(source)
    for messages in (USER, LONGER):
        expected = reference.render(messages=messages, add_generation_prompt=True, **special)
        assert template_of(source, special)(messages) == expected


def test_other_templates_say_what_they_need() -> None:
    source = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}>"
    try:
        import jinja2  # noqa: F401
    except ImportError:
        with pytest.raises(ConfigError, match="install jinja2"):
            template_of(source, {})
    else:
        assert template_of(source, {})(USER) == "[user]  Hi \n>"


def test_the_template_is_found_where_models_keep_it(make_checkpoint: Any) -> None:
    folder: Path = make_checkpoint()
    config = folder / "tokenizer_config.json"
    plain = FolderTokenizer(folder, 300).chat(USER)
    assert FolderTokenizer(folder, 300).decode(plain) == "user\n Hi \nassistant\n"
    config.write_text(json.dumps({"chat_template": [{"name": "default", "template": CHATML}]}))
    assert FolderTokenizer(folder, 300).chat(USER) == plain
    config.write_text("{}")
    (folder / "chat_template.jinja").write_text(CHATML)
    assert FolderTokenizer(folder, 300).chat(USER) == plain
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ConfigError, match="no chat_template"):
        FolderTokenizer(folder, 300).chat(USER)


def test_special_tokens_spelled_out_are_parsed(tiny: Path) -> None:
    assert FolderTokenizer(tiny, 300).encode("<|im_start|>") == (2,)
