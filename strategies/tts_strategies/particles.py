"""Particle filtering over steps (Puri et al. 2025, arXiv 2502.01618, alg. 1).

A verifier's score is read as the likelihood that a particle is on the right way. All particles move
one step, are weighted, and are drawn anew in proportion to their weights. The paper draws at every
step, multinomially; here they are drawn systematically, and only when their effective number has
fallen below a share of N (Doucet & Johansen 2009, sec. 3.4-3.5), which keeps them diverse.
`resample_below=1` draws at every step, as the paper does.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tts.strategy import Node, Search, at_least, positive

_EDGE = 1e-6  # scores of 0 and 1 have no logit


@dataclass(frozen=True)
class Particles:
    """N particles, softmax temperature T, drawn anew below `resample_below` x N effective ones."""

    n: int = 16  # N
    temperature: float = 1.0  # T
    resample_below: float = 0.5
    needs_verifier: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(1, n=self.n)
        positive(temperature=self.temperature, resample_below=self.resample_below)

    async def run(self, search: Search) -> None:
        particles = [search.root] * self.n
        log_weights = np.zeros(self.n)
        while any(not particle.finished for particle in particles):
            particles = await _move(search, particles)
            log_weights += [self._evidence(particle) for particle in particles]
            weights = np.exp(log_weights - log_weights.max())
            weights /= weights.sum()
            if 1 / np.square(weights).sum() < self.resample_below * self.n:
                particles = [particles[i] for i in systematic(weights, search.rng)]
                log_weights[:] = 0.0

    def _evidence(self, particle: Node) -> float:
        """logit(score) / T; a finished particle is weighed by its last score, as in the paper."""
        score = min(max(particle.rank, _EDGE), 1 - _EDGE)
        return float(np.log(score / (1 - score))) / self.temperature


async def _move(search: Search, particles: list[Node]) -> list[Node]:
    """One step further for each particle that is not finished."""
    moving = Counter(particle for particle in particles if not particle.finished)
    children = iter(await search.expand_all(moving))
    in_order = sorted(particles, key=_key)  # as the children are
    return [particle if particle.finished else next(children) for particle in in_order]


def _key(particle: Node) -> tuple[int, ...]:
    return particle.key


def systematic(weights: npt.NDArray[np.float64], rng: np.random.Generator) -> list[int]:
    """Indices drawn by one uniform number: i comes floor or ceil of n x weights[i] times.

    `weights` [n] are >= 0 and sum to 1.
    """
    n = len(weights)
    points = (rng.random() + np.arange(n)) / n
    drawn = np.searchsorted(np.cumsum(weights), points).clip(max=n - 1)
    return [int(index) for index in drawn]
