"""Early-stopping self-consistency (ESC): sample in windows until one agrees (Li et al. 2024).

A window whose answers are all the same has entropy zero, and ends the sampling. A solution without
an answer agrees with nothing, so that a window with one in it goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tts.strategy import Bill, Node, Paper, Search, at_least

LI = Paper(
    "Escape Sky-high Cost: Early-stopping Self-Consistency for Multi-step Reasoning",
    ("Yiwei Li", "Peiwen Yuan", "Shaoxiong Feng", "Boyuan Pan", "Xinglin Wang", "others"),
    2024,
    arxiv="2401.10480",
    venue="ICLR 2024",
)


@dataclass(frozen=True)
class EarlyStopping:
    """At most N answers, `window` side by side; the last window may be smaller and ends nothing."""

    n: int = 40  # L
    window: int = 5  # w
    needs_verifier: ClassVar[bool] = False
    papers: ClassVar = (LI,)
    bill: ClassVar = Bill("n", "n * depth", exact=False)

    def __post_init__(self) -> None:
        at_least(1, n=self.n)
        at_least(2, window=self.window)

    async def run(self, search: Search) -> None:
        for begin in range(0, self.n, self.window):
            ends: list[Node] = []

            async def sample(ends: list[Node] = ends) -> None:
                ends.append(await search.complete(search.root))

            await search.spread(sample, min(self.window, self.n - begin))
            answers = {await search.answer_class(end) for end in ends}
            if len(answers) == 1 and None not in answers:
                return
