"""Engine: continuous batching over a model of transformers. Rows come and go at every token.

It is a plain object without threads or clocks (`decoder.worker` steps it). A prompt that several
requests wait for is read once; a request for one sample whose prompt is cached but for its last
token, as each next step of a search is, joins the batch at once.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from typing import Final
from weakref import WeakValueDictionary

import numpy as np
import torch

from tts.backends.base import Ending, Request, Sample
from tts.backends.decoder.chance import chances
from tts.backends.decoder.radix import key_of
from tts.backends.decoder.stops import EOS, LOOK, STOP, Stops
from tts.backends.tokenizer import FolderTokenizer
from tts.backends.transformers.attention import PromptPass, Run, TokenPass
from tts.backends.transformers.cache import PrefixCache, Prompt
from tts.backends.transformers.job import Job, Row
from tts.backends.transformers.layout import Tensor
from tts.backends.transformers.model import CausalModel
from tts.backends.transformers.sampling import draw, raw_logprobs
from tts.backends.transformers.slots import Slots

READ_AT_ONCE: Final = 512
"""Prompt tokens that are read between two tokens of decoding, at most."""
WORTH_SHARING: Final = 256
"""From so many tokens on that need not be copied, reading a prompt in place pays."""


class Engine:
    """A model, its prefix cache and the rows being decoded."""

    def __init__(
        self,
        model: CausalModel,
        tokenizer: FolderTokenizer,
        *,
        eos_ids: tuple[int, ...],
        context: int,
        cache_bytes: int,
        at_once: int,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._context = context
        self._stops = Stops(tokenizer.pieces, tokenizer.vocabulary, eos_ids)
        self.cache = PrefixCache(model.layout, cache_bytes)
        self._slots = Slots(model.layout, at_once)
        self._most = at_once
        self._rows: list[Row] = []
        """In the order of their slots."""
        self._queue: list[Job] = []
        self._submitted = 0
        self._wanted: Counter[bytes] = Counter()
        """Samples that wait for a row, by their prompts."""
        self._prompts: WeakValueDictionary[bytes, Prompt] = WeakValueDictionary()
        """Those that somebody holds."""
        self._done: list[Job] = []

    @property
    def busy(self) -> bool:
        """Whether a step would do anything."""
        return bool(self._queue or self._rows)

    def submit(self, request: Request) -> Job:
        """Take in a request whose prompt leaves room in the context."""
        self._submitted += 1
        job = Job(request, (-request.priority, self._submitted))
        self._wanted[job.key] += len(job.waiting)
        heapq.heappush(self._queue, job)
        return job

    def cancel(self, job: Job) -> None:
        """Drop a job, wherever it is; what it has computed is cached and booked."""
        if job.ended:
            return
        with torch.inference_mode():
            for slot in reversed(range(len(self._rows))):
                if self._rows[slot].job is job:
                    job.output_tokens += len(self._rows[slot].tokens)
                    self._leave(slot)
            if (prompt := job.prompt) is not None and prompt.length < prompt.size:
                self._keep_prompt(job, prompt)
        if job in self._queue:
            self._queue.remove(job)
            heapq.heapify(self._queue)
        self._want(job, -len(job.waiting))
        self._end(job)

    def step(self) -> list[Job]:
        """Read prompts, give rows, decode a token of each row; the jobs done by that."""
        with torch.inference_mode():
            self._admit()
            if self._rows:
                self._decode()
        done, self._done = self._done, []
        for job in done:
            self._end(job)
        return done

    def check_idle(self) -> None:
        """Assert that jobs which have ended left nothing behind."""
        assert not self.busy
        assert not +self._wanted
        assert not self._prompts
        self.cache.tree.check(self.cache.places)

    # From the queue to a row

    def _admit(self) -> None:
        budget = READ_AT_ONCE
        begun: list[tuple[int, Tensor]] = []
        while self._queue and len(self._rows) < self._most:
            job = self._queue[0]
            if job.prompt is None and self._joins(job):
                heapq.heappop(self._queue)
                continue
            prompt = job.prompt
            assert prompt is not None
            while prompt.length < prompt.size and budget > 0:
                budget -= self._read(job, prompt, budget)
            if prompt.length < prompt.size:
                break
            job.find(prompt.length)
            begun += self._begin(job, prompt)
            if not job.waiting:
                heapq.heappop(self._queue)
                if not prompt.users and not self._wanted[job.key]:
                    job.prompt = None  # nobody will begin with it
        if begun:
            slots, logits = zip(*begun, strict=True)
            self._draw(torch.stack(logits), slots)

    def _joins(self, job: Job) -> bool:
        """Whether a job needs no more than a place in the batch; it is given that, or a prompt."""
        size = len(job.request.prompt)
        job.prompt = self._prompts.get(job.key)
        if job.prompt is not None:
            job.find(job.prompt.length)
            return False
        match = self.cache.tree.match(job.key)
        known = min(match.tokens, size - 1)
        job.find(known)
        if known == size - 1 and self._wanted[job.key] == 1:
            row = self._row(job, None, known, job.request.prompt[-1])
            self._slots.widen(size)
            self.cache.read(match, known, self._slots.row(self._add(row)))
            return True
        job.prompt = self._prompts[job.key] = Prompt(self._model.layout, size)
        self.cache.read(match, known, job.prompt.planes)
        job.prompt.length = known
        return False

    def _read(self, job: Job, prompt: Prompt, budget: int) -> int:
        """Pass at most `budget` tokens of a prompt through the model; how many."""
        job.find(prompt.length)
        start, stop = prompt.length, min(prompt.size, prompt.length + budget)
        kept = PromptPass(self._model.layout, prompt.planes, start, stop)
        logits = self._model.forward([job.request.prompt[start:stop]], [start], kept)
        prompt.length = job.prompt_tokens = stop
        if stop == prompt.size:
            prompt.logits = logits[0]
            self._keep_prompt(job, prompt)
        return stop - start

    def _begin(self, job: Job, prompt: Prompt) -> list[tuple[int, Tensor]]:
        """Give rows to samples of a job whose prompt is read; their slots, and first logits."""
        count = min(self._most - len(self._rows), len(job.waiting))
        users = prompt.users + self._wanted[job.key]
        in_place = prompt.users > 0 or (users - 1) * prompt.size >= WORTH_SHARING
        if job.request.logprob_ids and not job.first_logprobs:
            job.first_logprobs = raw_logprobs(prompt.logits, job.request.logprob_ids)
        begun: list[tuple[int, Tensor]] = []
        for _ in range(count):
            row = self._row(job, prompt if in_place else None, 0 if in_place else prompt.size, -1)
            slot = self._add(row)
            if in_place:
                prompt.users += 1
            else:
                self._slots.fill(slot, prompt.planes, prompt.size)
            begun.append((slot, prompt.logits))
        return begun

    def _row(self, job: Job, shared: Prompt | None, own: int, feed: int) -> Row:
        """The next of a job's samples as a row."""
        self._want(job, -1)
        limit = min(job.request.max_tokens, self._context - len(job.request.prompt))
        return Row(job, job.waiting.popleft(), shared, own, feed, limit)

    def _add(self, row: Row) -> int:
        self._rows.append(row)
        return len(self._rows) - 1

    def _want(self, job: Job, samples: int) -> None:
        self._wanted[job.key] += samples
        if not self._wanted[job.key]:
            del self._wanted[job.key]

    # Decoding

    def _decode(self) -> None:
        """A token of each row."""
        rows = self._rows
        self._slots.widen(1 + max(row.own for row in rows))
        kept = TokenPass(
            self._model.layout, self._slots.planes, [row.own for row in rows], self._runs()
        )
        logits = self._model.forward(
            [[row.feed] for row in rows], [row.position for row in rows], kept
        )
        for row, after in zip(rows, logits, strict=True):
            row.own += 1
            if row.job.prompt_tokens < len(row.job.request.prompt):
                # Its prompt's last token was what it was fed.
                row.job.prompt_tokens += 1
                if ids := row.job.request.logprob_ids:
                    row.job.first_logprobs = raw_logprobs(after, ids)
        self._draw(logits, range(len(rows)))

    def _runs(self) -> list[Run]:
        sharing: dict[Prompt, list[int]] = {}
        for slot, row in enumerate(self._rows):
            if row.shared is not None:
                sharing.setdefault(row.shared, []).append(slot)
        device = self._model.device
        return [
            Run(prompt, torch.tensor(slots, device=device)) for prompt, slots in sharing.items()
        ]

    def _draw(self, logits: Tensor, slots: Sequence[int]) -> None:
        """Add a token of `logits` to the samples in `slots`; those that end by it leave."""
        rows = [self._rows[slot] for slot in slots]
        seeds = np.array([row.job.request.seeds[row.index] for row in rows], np.uint64)
        places = np.array([len(row.tokens) for row in rows], np.int64)
        drawn = draw(
            logits, chances(seeds, places).tolist(), [row.job.request.sampling for row in rows]
        )
        ended: list[tuple[int, Ending]] = []
        for slot, row, token, logprob in zip(slots, rows, *drawn, strict=True):
            row.tokens.append(token)
            row.logprobs.append(logprob)
            row.feed = token
            if (ending := self._ending(row, token)) is not None:
                ended.append((slot, ending))
        # From the last to the first, since the last one moves to where one leaves.
        for slot, ending in sorted(ended, key=lambda each: each[0], reverse=True):
            self._finish(slot, ending)

    def _ending(self, row: Row, token: int) -> Ending | None:
        """Why a sample ends with the token that it has just got; None: it goes on."""
        job = row.job
        flags = self._stops.flags(job.request.stop_ids, job.stops)[token]
        if flags & EOS:
            return Ending.EOS
        if flags & STOP or (flags & LOOK and self._stops.found(row.tokens, job.stops)):
            return Ending.STOP
        return Ending.LENGTH if len(row.tokens) >= row.limit else None

    # Out of the engine

    def _finish(self, slot: int, ending: Ending) -> None:
        row = self._rows[slot]
        job, tokens = row.job, tuple(row.tokens)
        job.samples[row.index] = Sample(
            tokens,
            self._tokenizer.decode(tokens),
            sum(row.logprobs),
            ending,
            job.first_logprobs,
            tuple(row.logprobs),
        )
        job.output_tokens += len(tokens)
        self._leave(slot)
        if None not in job.samples:
            self._done.append(job)

    def _leave(self, slot: int) -> None:
        """Free a slot; what its sample has computed goes to the cache."""
        row = self._rows[slot]
        computed = (*row.job.request.prompt, *row.tokens)[: row.position]
        own = self._slots.row(slot)
        shared = row.shared

        def between(low: int, high: int) -> list[Tensor]:
            if shared is None:
                return [plane[:, :, low:high] for plane in own]
            size = shared.size
            return [
                torch.cat(
                    (before[:, :, low:high], plane[:, :, max(0, low - size) : high - size]), dim=2
                )
                if high > size
                else before[:, :, low:high]
                for before, plane in zip(shared.planes, own, strict=True)
            ]

        self.cache.keep(key_of(computed), between)
        if shared is not None:
            shared.users -= 1
        last = self._rows.pop()
        if last is not row:
            self._rows[slot] = last
            self._slots.move(len(self._rows), slot, last.own)

    def _keep_prompt(self, job: Job, prompt: Prompt) -> None:
        """Cache what of a prompt is read."""
        planes = prompt.planes
        self.cache.keep(
            key_of(job.request.prompt[: prompt.length]),
            lambda low, high: [plane[:, :, low:high] for plane in planes],
        )

    def _end(self, job: Job) -> None:
        job.ended = True
        job.prompt = None
