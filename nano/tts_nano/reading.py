"""Reading: prompts pass through the model, several at once and long ones a part at a time."""

from __future__ import annotations

import numpy as np

from tts.backends.decoder.radix import WIDTH, Match, common_tokens
from tts_nano import blocks
from tts_nano.attention import Chunk, ChunkAttention, Scratch
from tts_nano.blocks import BLOCK
from tts_nano.cache import PrefixCache
from tts_nano.job import Job
from tts_nano.model import Model

READ_TWICE = 0.05
"""Share of its unread tokens that a job rather reads twice than waits for."""


class Reading:
    """The jobs whose prompts are being read; what they read goes to the cache."""

    def __init__(self, model: Model, cache: PrefixCache) -> None:
        self._model = model
        self._cache = cache
        self._scratch = Scratch()
        self._shape = blocks.shape(model.architecture)
        self.jobs: list[Job] = []

    def leader(self, job: Job) -> Job | None:
        """One of the jobs that reads what `job`, of whose prompt as much is cached, has to read."""
        cached, unread = job.cached_tokens, job.length - job.cached_tokens
        for other in self.jobs:
            # With other numbers of cached tokens they part within what is cached.
            if other.cached_tokens == cached:
                shared = common_tokens(other.key, job.key) - cached
                if shared > READ_TWICE * unread:
                    return other
        return None

    def begin(self, job: Job, match: Match) -> None:
        """Start to read what is not cached of a job's prompt, `match`."""
        count = -(-job.length // BLOCK)
        job.blocks = np.zeros((count, *self._shape), np.float32)
        known = self._cache.blocks(match)
        job.blocks[: len(known)] = known
        self.jobs.append(job)

    def advance(self, most: int) -> tuple[int, list[Job]]:
        """Read up to `most` tokens: how many it was, and the jobs whose prompts are read now."""
        chunks: list[Chunk] = []
        tokens, readers = [], []
        total = 0
        for job in self.jobs:
            length = min(job.length - job.prompt_tokens, most - total)
            if length > 0:
                assert job.blocks is not None
                chunks.append(Chunk(job.blocks, job.prompt_tokens, length))
                tokens.append(job.tokens[job.prompt_tokens :][:length])
                readers.append(job)
                total += length
        positions = [np.arange(each.start, each.start + each.length) for each in chunks]
        attention = ChunkAttention(chunks, self._scratch)
        hidden = self._model.forward(np.concatenate(tokens), np.concatenate(positions), attention)
        done, row = [], 0
        for job, chunk in zip(readers, chunks, strict=True):
            row += chunk.length
            job.prompt_tokens += chunk.length
            if job.prompt_tokens == job.length:
                job.hidden = hidden[row - 1].copy()
                self.stop(job)
                done.append(job)
        return total, done

    def stop(self, job: Job) -> None:
        """Take `job` out; what is read of its prompt goes to the cache."""
        self.jobs.remove(job)
        source = job.blocks
        assert source is not None
        key = job.key[: job.prompt_tokens * WIDTH]
        self._cache.insert(key, lambda number: source[number])
        if job.hidden is not None:
            self._cache.keep_end(key, job.hidden)
