"""Models that say what a test tells them to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from tts.backends.base import Dialect
from tts.result import Result
from tts.strategy import Strategy
from tts.testing import Bench
from tts.testing.bench import Delay, Opinions

DIALECT = Dialect(user="{problem}", step_tokens=64, answer_tokens=400)
TOLD = Dialect(system="Think.", user="{problem}", step_tokens=64, answer_tokens=400)


@dataclass(frozen=True)
class Scripted:
    """Runs strategies on a policy that writes given samples in the order in which it is asked.

    A sample is the whole rest of a solution; of it an engine that is asked for a step gives the
    first. A verifier scores a text by its last step; a step that is not listed has score 0.5.
    """

    def __call__(
        self,
        strategy: Strategy,
        samples: list[str],
        scores: Mapping[str, float | None] | None = None,
        *,
        delay: Delay | None = None,
        told: bool = False,
    ) -> Result:
        given = iter(samples)

        def score(text: str) -> float | None:
            last = [part for part in text.split("\n\n") if part][-1]
            return (scores or {}).get(last, 0.5)

        bench = Bench(
            script=lambda text, seed: next(given),
            delay=delay,
            verifier=None if scores is None else Opinions(score=score),
            dialect=TOLD if told else DIALECT,
        )
        return bench.solve(strategy)


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


@pytest.fixture
def texts() -> Callable[[Result], list[str]]:
    """The texts of all nodes, in the order of their keys, a path's steps joined by slashes."""

    def of(result: Result) -> list[str]:
        nodes = sorted(result.tree, key=lambda node: node.key)
        return [node.text.strip().replace("\n\n", "/") for node in nodes]

    return of
