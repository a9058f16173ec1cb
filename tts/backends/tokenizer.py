"""Tokenizer: a model's `tokenizer.json`, its chat template, and the bytes behind each token."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import tokenizers

from tts.backends.folder import read_json
from tts.backends.templates import Template, template_of
from tts.errors import ConfigError


class FolderTokenizer:
    """Text to ids and back."""

    def __init__(self, folder: Path, vocabulary: int | None = None) -> None:
        """Read the tokenizer of the model in `folder`, whose embedding has `vocabulary` rows.

        None: that is not known, and taken to be as many as the tokenizer needs.

        Raises:
            ConfigError: a file is missing or broken, or the tokenizer belongs to another model.
        """
        path = folder / "tokenizer.json"
        self._specification = read_json(path)
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(json.dumps(self._specification))
        except Exception as error:  # the library raises nothing more specific
            raise ConfigError(f"{path}: not a tokenizer: {error}") from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        largest = max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
        if vocabulary is None:
            vocabulary = largest + 1
        elif largest >= vocabulary:
            raise ConfigError(
                f"{path}: token {largest} has no row in the embedding, which has {vocabulary}: "
                "tokenizer and weights are not of the same model"
            )
        self.vocabulary = vocabulary
        """Rows of the embedding: every id is below."""
        self._folder = folder

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of `text` alone; special tokens spelled out are parsed."""
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of `token_ids`, special tokens left out."""
        return self._tokenizer.decode(list(token_ids), skip_special_tokens=True)

    def chat(self, messages: Sequence[Mapping[str, str]]) -> tuple[int, ...]:
        """Ids of a conversation, up to and including the header of the assistant's next turn.

        Raises:
            ConfigError: the model has no chat template, or one that needs jinja2.
        """
        return self.encode(self._template(messages))

    @cached_property
    def pieces(self) -> list[bytes]:
        """What each token adds to a text, in UTF-8; nothing for special tokens: [vocabulary]."""
        special = {
            id for id, token in self._tokenizer.get_added_tokens_decoder().items() if token.special
        }
        added = self._tokenizer.get_added_tokens_decoder()
        spelled = _by_bytes if "ByteLevel" in _kinds(self._specification["decoder"]) else _by_text
        pieces = [b""] * self.vocabulary
        for token, id in self._tokenizer.get_vocab(with_added_tokens=True).items():
            if id in added:
                pieces[id] = b"" if id in special else token.encode()
            else:
                pieces[id] = spelled(token)
        return pieces

    @cached_property
    def _template(self) -> Template:
        path = self._folder / "tokenizer_config.json"
        config = read_json(path) if path.exists() else {}
        source = config.get("chat_template")
        if isinstance(source, list):  # several, by name
            named = {each.get("name"): each.get("template") for each in source}
            source = named.get("default")
        apart = self._folder / "chat_template.jinja"
        if source is None and apart.exists():
            source = apart.read_text(encoding="utf-8")
        if not isinstance(source, str):
            raise ConfigError(f"{path}: the model has no chat_template, so it cannot chat")
        special = {name: _content(config.get(name)) for name in ("bos_token", "eos_token")}
        return template_of(source, special)


def _content(token: object) -> str:
    """A special token's text: given as such, or as an object with its flags."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else ""


def _kinds(decoder: object) -> set[str]:
    """Types of a decoder's steps."""
    if not isinstance(decoder, dict):
        return set()
    return {str(decoder.get("type"))}.union(*map(_kinds, decoder.get("decoders", ())))


def _byte_letters() -> dict[str, int]:
    """GPT-2's letters for bytes: printable ones stand for themselves, others for 256, 257, ..."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {chr(byte): byte for byte in printable}
    return letters | {chr(256 + n): byte for n, byte in enumerate(others)}


_LETTERS = _byte_letters()


def _by_bytes(token: str) -> bytes:
    """Of a byte-level vocabulary."""
    return bytes(_LETTERS[letter] for letter in token if letter in _LETTERS)


def _by_text(token: str) -> bytes:
    """Of a SentencePiece-like vocabulary: `▁` is a space, `<0x0A>` a byte."""
    if found := re.fullmatch(r"<0x([0-9A-Fa-f]{2})>", token):
        return bytes([int(found.group(1), 16)])
    return token.replace("▁", " ").encode()
