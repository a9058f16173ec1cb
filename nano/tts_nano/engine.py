"""Engine: continuous batching. Requests come and go between any two steps of one token each.

It is a plain object without threads or clocks: `submit`, `cancel`, and `step` while it is `busy`.
What a waiting request has in common with one whose prompt is being read is not read twice: it
waits for the other and then finds it in the cache. Siblings that come together are read once.
"""

from __future__ import annotations

import heapq

import numpy as np

from tts.backends.base import Ending, Request, Sample
from tts.backends.decoder.chance import chances
from tts.backends.decoder.radix import Match, key_of
from tts.backends.decoder.stops import EOS, LOOK, STOP, Stops
from tts.backends.tokenizer import FolderTokenizer
from tts_nano.arrays import Floats, Integers, Records
from tts_nano.batch import Batch
from tts_nano.blocks import BLOCK
from tts_nano.cache import PrefixCache
from tts_nano.canonical import Canonical
from tts_nano.job import Job
from tts_nano.model import Model
from tts_nano.reading import Reading
from tts_nano.runs import Runs
from tts_nano.sampling import Drawn, Parameters, draw, raw_logprobs

READ_AT_ONCE = 512
"""Prompt tokens that are read between two steps of decoding, at most."""

Owner = tuple[Job, int]
"""A job and the number of one of its samples."""


class Engine:
    """A model, its prefix cache and the batch."""

    def __init__(
        self, model: Model, tokenizer: FolderTokenizer, *, cache_bytes: int, max_batch: int
    ) -> None:
        a = model.architecture
        self._model = model
        self._tokenizer = tokenizer
        self._stops = Stops(tokenizer.pieces, a.vocabulary, a.eos_ids)
        self.cache = PrefixCache(a, cache_bytes)
        self._reading = Reading(model, self.cache)
        self._canonical = Canonical(model)
        self._batch: Batch[Owner] = Batch(a, max_batch, a.vocabulary)
        self._queue: list[Job] = []
        self._submitted = 0
        self._runs = Runs(self.cache)
        self._done: list[Job] = []

    @property
    def busy(self) -> bool:
        """Whether a step would do anything."""
        return bool(self._queue or self._reading.jobs or self._batch.rows)

    def submit(self, request: Request) -> Job:
        """Take in a request whose prompt leaves room in the context."""
        self._submitted += 1
        job = Job(request, (-request.priority, self._submitted))
        heapq.heappush(self._queue, job)
        return job

    def cancel(self, job: Job) -> None:
        """Drop a job, wherever it is; what it has computed is cached and booked."""
        if job.ended:
            return
        if job in self._reading.jobs:
            self._reading.stop(job)
        for slot in reversed(range(self._batch.rows)):
            if self._batch.owners[slot][0] is job:
                job.output_tokens += int(self._batch.records["count"][slot])
                self._leave(slot)
        self._end(job)
        if job in self._queue:
            self._queue.remove(job)
            heapq.heapify(self._queue)

    def step(self) -> list[Job]:
        """Admit what fits, read prompts, decode a token of each sample; the jobs done by that."""
        # Scores and gates of any size are meant: e^x may be infinite or vanish.
        with np.errstate(over="ignore", under="ignore"):
            self._admit()
            if self._batch.rows:
                self._decode()
        done, self._done = self._done, []
        for job in done:
            self._end(job)
        return done

    def check_idle(self) -> None:
        """Assert that jobs which have ended left nothing behind."""
        assert not self.busy
        assert not self._runs
        assert self.cache.tree.users == 0
        self.cache.tree.check(self.cache.places)

    # From the queue to a slot

    def _admit(self) -> None:
        budget = READ_AT_ONCE
        while True:
            self._take_from_queue()
            if not self._reading.jobs or budget <= 0:
                return
            tokens, jobs = self._reading.advance(budget)
            budget -= tokens
            for job in jobs:
                self._hold(job, self.cache.tree.match(job.key))
                job.expected = sum(each.width for each in job.followers)
                self._requeue(job, *job.followers)
                job.followers = []

    def _take_from_queue(self) -> None:
        """Begin samples, or the reading of prompts, while there are slots."""
        room = self._batch.free - len(self._reading.jobs)
        alone: dict[bytes, tuple[Job, Match]] = {}
        begun: list[tuple[Job, slice]] = []
        while self._queue and room > 0:
            job = heapq.heappop(self._queue)
            match = None
            if job.hidden is None:
                match = self._look_up(job)
            if match is not None and job.hidden is None:
                if (twin := alone.pop(job.key, None)) is not None:
                    self._reading.begin(*twin)
                if (leader := self._reading.leader(job)) is not None:
                    leader.followers.append(job)
                    continue
                self._hold(job, match)
                if job.width == 1 and job.length - job.prompt_tokens == 1:
                    alone[job.key] = (job, match)
                else:
                    self._reading.begin(job, match)
                room -= 1
                continue
            if match is not None:
                self._hold(job, match)
            begun.append((job, self._begin(job, match, room)))
            room = self._batch.free - len(self._reading.jobs) - len(alone)
            if job.waiting:
                heapq.heappush(self._queue, job)
        for job, match in alone.values():
            taken = self._join(job, match, 1, job.length - 1)
            self._batch.records["token"][taken] = job.tokens[-1]
        if begun:
            self._draw_first(begun)

    def _look_up(self, job: Job) -> Match:
        """What is cached of a prompt; the last token counts if the state after it is known."""
        match = self.cache.tree.match(job.key)
        if match.tokens == job.length:
            job.hidden = self.cache.end(job.key)
        known = match.tokens if job.hidden is not None else min(match.tokens, job.length - 1)
        job.prompt_tokens = job.cached_tokens = known
        return match

    def _begin(self, job: Job, match: Match | None, room: int) -> slice:
        """Give slots to samples of a job whose prompt is known."""
        count = min(room, len(job.waiting))
        if job.blocks is None and count < len(job.waiting):
            assert match is not None
            job.blocks = self.cache.blocks(match)  # for those that begin later
        taken = self._join(job, match, count, job.length)
        if not job.waiting:
            job.blocks = None
        return taken

    def _join(self, job: Job, match: Match | None, count: int, position: int) -> slice:
        """Slots for `count` samples, with the prompt's blocks that they do not share.

        The token at `position` is the next to come, though what is cached may go further.
        """
        run = self._runs.of(job, position // BLOCK)
        first = 0 if run is None else run.count
        if job.blocks is not None:
            own = job.blocks[first:]
        else:
            assert match is not None
            own = self.cache.blocks(match, first)
        indices = [job.waiting.popleft() for _ in range(count)]
        taken = self._batch.join([(job, index) for index in indices], own, run)
        request, sampling = job.request, job.request.sampling
        records = self._batch.records
        records["seed"][taken] = [request.seeds[index] for index in indices]
        records["limit"][taken] = min(
            request.max_tokens, self._model.architecture.context - job.length
        )
        records["temperature"][taken] = sampling.temperature
        records["top_p"][taken] = sampling.top_p
        records["top_k"][taken] = sampling.top_k
        self._batch.flags[taken] = self._stops.flags(request.stop_ids, job.stops)
        self._batch.place(taken, position)
        return taken

    # Decoding

    def _decode(self) -> None:
        """One token of each sample."""
        batch, model = self._batch, self._model
        records = batch.records[: batch.rows]
        first = np.flatnonzero(records["count"] == 0)
        tokens, positions = records["token"].copy(), records["position"].copy()
        hidden = model.forward(tokens, positions, batch.attention())
        for slot in first:
            job = batch.owners[slot][0]
            job.hidden = hidden[slot].copy()
            job.prompt_tokens = job.length
            self.cache.keep_end(job.key, job.hidden)
        logits = model.logits(hidden)
        for slot in first:
            self._note_first(batch.owners[slot][0], logits[slot])
        self._draw(logits, np.arange(batch.rows))

    def _draw_first(self, begun: list[tuple[Job, slice]]) -> None:
        """The first tokens of samples that have just begun, siblings from the same logits."""
        hidden = [job.hidden for job, _ in begun if job.hidden is not None]
        logits = self._model.logits(np.stack(hidden))
        for (job, _), row in zip(begun, logits, strict=True):
            self._note_first(job, row)
        slots = [np.arange(taken.start, taken.stop) for _, taken in begun]
        which = np.repeat(np.arange(len(begun)), [len(each) for each in slots])
        self._draw(logits[which], np.concatenate(slots))

    def _note_first(self, job: Job, logits: Floats) -> None:
        if (ids := job.request.logprob_ids) and not job.first_logprobs:
            job.first_logprobs = tuple(raw_logprobs(logits, np.array(ids)).tolist())

    def _draw(self, logits: Floats, slots: Integers) -> None:
        """Add a token of `logits` to the samples in `slots`; those that end by it leave."""
        batch = self._batch
        records = batch.records[slots]
        drawn = _draw_rows(logits, records)
        for row in np.flatnonzero(drawn.margins < self._canonical.noise):
            again = _draw_rows(self._canonical.logits(self._so_far(slots[row])), records[[row]])
            drawn.tokens[row], drawn.logprobs[row] = again.tokens[0], again.logprobs[0]
        batch.keep(drawn.tokens, drawn.logprobs, slots)
        flags = batch.flags[slots, drawn.tokens]
        full = records["count"] + 1 >= records["limit"]
        # From the last to the first, since the last one moves to where one leaves.
        for row in np.flatnonzero(full | (flags != 0))[::-1]:
            slot = int(slots[row])
            if flags[row] & EOS:
                self._finish(slot, Ending.EOS)
            elif flags[row] & STOP or (flags[row] & LOOK and self._stop_found(slot)):
                self._finish(slot, Ending.STOP)
            elif full[row]:
                self._finish(slot, Ending.LENGTH)

    def _so_far(self, slot: int) -> Integers:
        """All tokens of a sample, its prompt included."""
        job, _ = self._batch.owners[slot]
        count = int(self._batch.records["count"][slot])
        return np.concatenate((job.tokens, self._batch.tokens[slot, :count]))

    def _stop_found(self, slot: int) -> bool:
        job, _ = self._batch.owners[slot]
        count = int(self._batch.records["count"][slot])
        return self._stops.found(self._batch.tokens[slot, :count].tolist(), job.stops)

    def _finish(self, slot: int, ending: Ending) -> None:
        batch = self._batch
        job, index = batch.owners[slot]
        count = int(batch.records["count"][slot])
        tokens = tuple(batch.tokens[slot, :count].tolist())
        logprobs = tuple(batch.logprobs[slot, :count].tolist())
        job.samples[index] = Sample(
            tokens,
            self._tokenizer.decode(tokens),
            sum(logprobs),
            ending,
            job.first_logprobs,
            logprobs,
        )
        job.output_tokens += count
        self._leave(slot)
        if None not in job.samples:
            self._done.append(job)

    # Out of the engine

    def _leave(self, slot: int) -> None:
        """Free a slot; what its sample has computed goes to the cache."""
        batch = self._batch
        computed = int(batch.records["position"][slot])  # the last token drawn is not
        self.cache.insert(key_of(self._so_far(slot)[:computed]), batch.block_of(slot))
        unused = batch.leave(slot)
        if unused is not None:
            self._runs.drop(unused)

    def _end(self, job: Job) -> None:
        """Let go of all that a job has, done or not."""
        job.ended = True
        job.blocks = None
        self._hold(job, None)
        self._requeue(*job.followers)
        job.followers = []

    def _hold(self, job: Job, match: Match | None) -> None:
        """Keep the full blocks of `match` in the cache for a job, and no others."""
        if job.nodes:
            self.cache.tree.release(job.nodes[-1], job.width)
        job.nodes = () if match is None else match.path
        if job.nodes:
            self.cache.tree.hold(job.nodes[-1], job.width)

    def _requeue(self, *jobs: Job) -> None:
        for job in jobs:
            if not job.ended:
                heapq.heappush(self._queue, job)


def _draw_rows(logits: Floats, records: Records) -> Drawn:
    """Tokens for samples with these records."""
    how = Parameters(records["temperature"], records["top_p"], records["top_k"])
    return draw(logits, chances(records["seed"], records["count"]), how)
