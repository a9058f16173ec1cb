"""Runs: which blocks the samples of a job should share with others, rather than have their own."""

from __future__ import annotations

from tts.backends.decoder.radix import Match, Node
from tts_nano.attention import Run
from tts_nano.blocks import BLOCK
from tts_nano.cache import PrefixCache
from tts_nano.job import Job

WORTH_SHARING = 32
"""From so many blocks times samples on, reading blocks once for all samples pays."""


class Runs:
    """The runs that samples use now, each known by the node of its last block."""

    def __init__(self, cache: PrefixCache) -> None:
        self._cache = cache
        self._runs: dict[Node, Run] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def of(self, job: Job, most: int) -> Run | None:
        """The run that samples of `job` should begin with, of at most `most` blocks.

        None if it would not pay.
        """
        depth, worth = 0, WORTH_SHARING - 1
        for number, node in enumerate(job.nodes[:most], 1):
            users = node.users + job.expected
            if users < 2:
                break
            value = number * users
            if node in self._runs:  # one more costs little; a new run must be much better
                value = max(2 * value, WORTH_SHARING)
            if value > worth:
                depth, worth = number, value
        if depth == 0:
            return None
        node = job.nodes[depth - 1]
        if node not in self._runs:
            blocks = self._cache.blocks(Match(job.nodes[:depth], None, depth * BLOCK))
            self._runs[node] = Run(blocks)
        return self._runs[node]

    def drop(self, unused: Run) -> None:
        """Forget a run that no sample uses any more."""
        self._runs = {node: run for node, run in self._runs.items() if run is not unused}
