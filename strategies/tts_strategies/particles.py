"""Particle filtering and particle Gibbs over steps (Puri et al. 2025, arXiv 2502.01618, alg. 1-2).

A verifier's score is read as the likelihood that a particle is on the right way. All particles move
one step, are weighted, and are drawn anew in proportion to their weights. The paper draws at every
step, multinomially; here they are drawn systematically, and only when their effective number has
fallen below a share of N (Doucet & Johansen 2009, sec. 3.4-3.5), which keeps them diverse.
`resample_below=1` draws at every step, as the paper does.

With more than one sweep this is particle Gibbs: a particle is drawn from the weights at the end of
a sweep, and in the next one its path is the reference. It takes a place among the N, weighted like
the others, is never drawn away, and is walked again for nothing, since its steps are in the tree.
The other N - 1 places are drawn multinomially there, as conditional SMC needs them (Andrieu,
Doucet & Holenstein 2010, sec. 4.3).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tts.strategy import Bill, Node, Paper, Search, at_least, positive, systematic

PURI = Paper(
    "A Probabilistic Inference Approach to Inference-Time Scaling of LLMs using Particle-Based "
    "Monte Carlo Methods",
    ("Isha Puri", "Shivchander Sudalairaj", "Guangxuan Xu", "Kai Xu", "Akash Srivastava"),
    2025,
    arxiv="2502.01618",
)
_EDGE = 1e-6  # scores of 0 and 1 have no logit


@dataclass(frozen=True)
class Particles:
    """N particles, softmax temperature T, drawn anew below `resample_below` x N effective ones."""

    n: int = 16  # N
    temperature: float = 1.0  # T
    resample_below: float = 0.5
    sweeps: int = 1  # more than one: particle Gibbs
    needs_verifier: ClassVar[bool] = True
    papers: ClassVar = (PURI,)
    bill: ClassVar = Bill(
        "(n + (sweeps - 1) * (n - 1)) * depth", "(n + (sweeps - 1) * (n - 1)) * depth"
    )

    def __post_init__(self) -> None:
        at_least(1, n=self.n, sweeps=self.sweeps)
        positive(temperature=self.temperature, resample_below=self.resample_below)

    async def run(self, search: Search) -> None:
        reference: list[Node] = []
        for _ in range(self.sweeps):
            particles, weights = await self._sweep(search, reference)
            reference = particles[search.rng.choice(self.n, p=weights)].path()

    async def _sweep(
        self, search: Search, reference: list[Node]
    ) -> tuple[list[Node], npt.NDArray[np.float64]]:
        """All particles from the root to their ends; the last of them walks the reference."""
        free = self.n - bool(reference)
        particles = [search.root] * self.n
        log_weights = np.zeros(self.n)
        weights = np.full(self.n, 1 / self.n)
        depth = 0
        while any(not particle.finished for particle in particles):
            particles = await _move(search, particles[:free])
            particles += [reference[min(depth, len(reference) - 1)]] if reference else []
            depth += 1
            log_weights += [self._evidence(particle) for particle in particles]
            weights = np.exp(log_weights - log_weights.max())
            weights /= weights.sum()
            if 1 / np.square(weights).sum() < self.resample_below * self.n:
                drawn = (
                    search.rng.choice(self.n, size=free, p=weights)
                    if reference
                    else systematic(weights, self.n, search.rng)
                )
                particles = [particles[i] for i in drawn] + particles[free:]
                log_weights[:] = 0.0
                weights[:] = 1 / self.n
        return particles, weights

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
