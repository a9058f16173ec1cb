"""Encoder: the tokenizer of a model that only reads, from its `tokenizer.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import tokenizers

from tts.errors import ConfigError


class FileTokenizer:
    """Implements `tts.backends.base.Tokenizer`, but for conversations, which layouts spell out."""

    def __init__(self, folder: str) -> None:
        """Read the tokenizer of the model in `folder`.

        Raises:
            ConfigError: there is none, or it cannot be read.
        """
        self._path = Path(folder).expanduser() / "tokenizer.json"
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(self._path))
        except Exception as error:  # the library raises nothing more specific
            raise ConfigError(f"{self._path}: not a tokenizer: {error}") from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, token_ids: Sequence[int]) -> str:
        return self._tokenizer.decode(list(token_ids), skip_special_tokens=True)

    def chat(self, messages: Sequence[Mapping[str, str]]) -> tuple[int, ...]:
        raise ConfigError(f"{self._path}: a model with a head is not talked to")
