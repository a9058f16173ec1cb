"""DeepConf online: drop solutions as soon as they lose confidence (Fu et al. 2025).

Some solutions are sampled whole to warm up. The lowest confidence of each decides: the threshold is
the quantile that only the best `keep` of them pass. From then on a solution is dropped at the first
step at which its latest group is below the threshold, and sampling ends when the answers agree.

The paper's confidence of a token looks at the k likeliest ones; engines give us only the sampled
one. So a group's confidence is here the geometric mean of the probabilities of its sampled tokens.
A group is the latest whole steps that hold `window` tokens; what is shorter is one group at its end
and is never dropped. Without token probabilities nothing is dropped at all. Votes for ending are
weighed by lowest confidence; the answer is chosen by the selector, and with `likelihood` as the
verifier its weights are confidences too.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tts.strategy import Bill, ConfigError, Node, Paper, Search, at_least

FU = Paper(
    "Deep Think with Confidence",
    ("Yichao Fu", "Xuewei Wang", "Yuandong Tian", "Jiawei Zhao"),
    2025,
    arxiv="2508.15260",
)


@dataclass(frozen=True)
class DeepConf:
    """At most N solutions, of which `warmup` are sampled whole."""

    n: int = 64  # B
    warmup: int = 16  # N_init
    keep: float = 0.1  # eta: 0.1 is the paper's DeepConf-low, 0.9 its DeepConf-high
    consensus: float = 0.95  # tau
    window: int = 2048  # tokens of a group
    at_once: int = 8  # solutions between two looks at the votes
    needs_verifier: ClassVar[bool] = False
    papers: ClassVar = (FU,)
    bill: ClassVar = Bill("warmup + (n - warmup) * depth", "n * depth", exact=False)

    def __post_init__(self) -> None:
        at_least(1, n=self.n, warmup=self.warmup, window=self.window, at_once=self.at_once)
        for name in ("keep", "consensus"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"{name}={getattr(self, name)} must be above 0 and at most 1")

    async def run(self, search: Search) -> None:
        ends: list[Node] = []
        begun = min(self.warmup, self.n)

        async def warm_up() -> None:
            ends.append(await search.complete(search.root))

        await search.spread(warm_up, begun)
        lowest = [self.lowest(end) for end in ends]
        threshold = float(np.quantile(lowest, 1 - self.keep))

        async def go_on() -> None:
            node = search.root
            while not node.finished:
                (node,) = await search.expand(node, judge=False)
                group = self.latest(node)
                if not node.finished and group is not None and group < threshold:
                    return
            ends.append(await search.judge(node))

        while begun < self.n and not await self._agree(search, ends):
            more = min(self.at_once, self.n - begun)
            await search.spread(go_on, more)
            begun += more

    async def _agree(self, search: Search, ends: list[Node]) -> bool:
        votes: defaultdict[int, float] = defaultdict(float)
        for end in sorted(ends, key=lambda node: node.key):
            label = await search.answer_class(end)
            if label is not None:
                votes[label] += self.lowest(end)
        return max(votes.values(), default=-1.0) >= self.consensus * math.fsum(votes.values())

    def lowest(self, end: Node) -> float:
        """The least confident group of a solution; all of it, if it is shorter than one."""
        groups = [group for node in end.path() if (group := self.latest(node)) is not None]
        return min(groups, default=_confidence(end.path()))

    def latest(self, node: Node) -> float | None:
        """Confidence of the latest `window` tokens; None if there are not so many yet."""
        path = node.path()
        tokens = 0
        for begin in range(len(path) - 1, -1, -1):
            step = path[begin].step
            tokens += 0 if step is None else len(step.token_ids)
            if tokens >= self.window:
                return _confidence(path[begin:])
        return None


def _confidence(nodes: list[Node]) -> float:
    """Geometric mean probability of the sampled tokens, in [0, 1]; 1 where they are unknown."""
    steps = [node.step for node in nodes if node.step is not None]
    tokens = sum(len(step.token_ids) for step in steps)
    return math.exp(sum(step.logprob for step in steps) / tokens) if tokens else 1.0
