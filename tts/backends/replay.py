"""Replay: answers recorded once, given again at no cost of compute.

`Recorder` stands before an engine and writes down what it says; `Replay` says it again to equal
requests, in whatever order they come. So a search can be repeated without its engine, or studied
under another strategy as far as that asks for the same samples.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from hashlib import blake2b
from pathlib import Path
from typing import TextIO

from tts.backends.base import Backend, Ending, Generation, ModelInfo, Request, Sample, Tokenizer
from tts.budget.meter import Meter
from tts.errors import BadReply, ConfigError
from tts.types import Cost


class Recorder:
    """An engine whose samples are also written to a file, one JSON line each."""

    def __init__(self, backend: Backend, path: Path) -> None:
        """Raises:
        ConfigError: `path` cannot be written.
        """
        self._backend = backend
        try:
            self._file: TextIO = path.open("a", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot record to {path}: {error.strerror}") from None

    @property
    def model(self) -> ModelInfo:
        return self._backend.model

    @property
    def tokenizer(self) -> Tokenizer:
        return self._backend.tokenizer

    async def generate(self, request: Request, meter: Meter) -> Generation:
        generation = await self._backend.generate(request, meter)
        for seed, sample in zip(request.seeds, generation.samples, strict=True):
            line = {
                "key": sample_key(request, seed),
                **asdict(sample),
                "ending": sample.ending.value,
            }
            self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        return generation

    async def aclose(self) -> None:
        self._file.close()
        await self._backend.aclose()


class Replay:
    """Serves recorded samples. What it gives costs what it cost then, all of it as if uncached."""

    def __init__(self, path: Path, model: ModelInfo, tokenizer: Tokenizer) -> None:
        """`model` and `tokenizer` are those of the engine that was recorded.

        Raises:
            ConfigError: `path` cannot be read, or a line of it is not a recorded sample.
        """
        self._model = model
        self._tokenizer = tokenizer
        self._path = path
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise ConfigError(f"cannot replay {path}: {error.strerror}") from None
        self._samples: dict[str, Sample] = {}
        for number, line in enumerate(lines, 1):
            try:
                fields = json.loads(line)
                self._samples[fields.pop("key")] = Sample(
                    token_ids=tuple(fields["token_ids"]),
                    text=fields["text"],
                    logprob=fields["logprob"],
                    ending=Ending(fields["ending"]),
                    first_logprobs=tuple(fields["first_logprobs"]),
                    logprobs=tuple(fields["logprobs"]),
                )
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigError(
                    f"{path}, line {number}: not a recorded sample: {error}"
                ) from None

    @property
    def model(self) -> ModelInfo:
        return self._model

    @property
    def tokenizer(self) -> Tokenizer:
        return self._tokenizer

    async def generate(self, request: Request, meter: Meter) -> Generation:
        with meter.call(request.bound) as reading:
            reading.cost = Cost(calls=1)
            try:
                samples = tuple(self._samples[sample_key(request, seed)] for seed in request.seeds)
            except KeyError:
                raise BadReply(f"{self._path} holds no sample for this request and seed") from None
            reading.cost = Cost(
                prompt_tokens=len(request.prompt),
                output_tokens=sum(len(sample.token_ids) for sample in samples),
                samples=len(samples),
                calls=1,
            )
        return Generation(samples, reading.cost)

    async def aclose(self) -> None:
        """Nothing to release."""


def sample_key(request: Request, seed: int) -> str:
    """One sample's identity: all that decides it, and not what it was asked together with."""
    identity = repr(replace(request, seeds=(seed,), priority=0))
    return blake2b(identity.encode(), digest_size=16).hexdigest()
