"""Templates: a conversation as text. The two that most models use; any other with jinja2's help."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from tts.errors import ConfigError

Messages = Sequence[Mapping[str, str]]
Template = Callable[[Messages], str]
"""From a conversation to its text, up to and including the header of the assistant's next turn."""

_CHATML_TURN = "'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>'"
_CHATML_LOOP = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_LLAMA_3_TURN = (
    "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    "+ message['content'] | trim + '<|eot_id|>'"
)


def template_of(source: str, special: Mapping[str, str]) -> Template:
    """The function that a model's `chat_template` describes.

    Args:
        source: a Jinja template.
        special: its `bos_token` and `eos_token`.

    Raises:
        ConfigError: it is not one of those known here, and jinja2 is not installed.
    """
    if source.strip() == _CHATML_LOOP.strip():
        return chatml(None)
    # Qwen2 and Qwen2.5: ChatML with a system turn of its own where the caller gives none; the
    # rest of their templates is about tools.
    if _CHATML_TURN in source.replace('"', "'") or (
        "<|im_start|>" in source and "messages[0]['role'] == 'system'" in source
    ):
        default = re.search(r"<\|im_start\|>system\\n([^'\"{<]+?)(?:<\|im_end\|>|['\"])", source)
        return chatml(default.group(1).replace("\\n", "\n") if default else None)
    if _LLAMA_3_TURN in source and "strftime" not in source and "tools" not in source:
        return llama_3(special.get("bos_token") or "")
    return _jinja(source, special)


def chatml(system: str | None) -> Template:
    """ChatML; `system` is the system turn of conversations that have none."""

    def render(messages: Messages) -> str:
        given = list(messages)
        if system is not None and (not given or given[0]["role"] != "system"):
            given.insert(0, {"role": "system", "content": system})
        turns = (f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in given)
        return "".join(turns) + "<|im_start|>assistant\n"

    return render


def llama_3(bos: str) -> Template:
    """Llama 3."""

    def header(role: str) -> str:
        return f"<|start_header_id|>{role}<|end_header_id|>\n\n"

    def render(messages: Messages) -> str:
        turns = (f"{header(m['role'])}{m['content'].strip()}<|eot_id|>" for m in messages)
        return bos + "".join(turns) + header("assistant")

    return render


def _jinja(source: str, special: Mapping[str, str]) -> Template:
    try:
        jinja2 = import_module("jinja2")
        sandbox = import_module("jinja2.sandbox")
    except ImportError:
        raise ConfigError(
            "this model's chat template is neither ChatML nor Llama 3: install jinja2 to use it"
        ) from None

    def refuse(message: str) -> Any:
        raise ConfigError(f"the chat template refuses the conversation: {message}")

    environment = sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = refuse
    try:
        compiled = environment.from_string(source)
    except jinja2.TemplateError as error:
        raise ConfigError(f"the chat template is not valid Jinja: {error}") from None

    def render(messages: Messages) -> str:
        return str(compiled.render(messages=messages, add_generation_prompt=True, **special))

    return render
