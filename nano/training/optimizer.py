"""Muon (Jordan et al., 2024): momentum whose matrix is replaced by the nearest orthogonal one."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration, from the authors' code."""


class Muon:
    """For hidden matrices; everything else is for AdamW."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], momentum: float = 0.95, decay: float = 0.05
    ) -> None:
        self.parameters = list(parameters)
        self.averages = [torch.zeros_like(each) for each in self.parameters]
        self.momentum = momentum
        self.decay = decay

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Update by the gradients, then drop them."""
        for parameter, average in zip(self.parameters, self.averages, strict=True):
            gradient = parameter.grad
            if gradient is None:
                continue
            average.lerp_(gradient, 1 - self.momentum)
            update = orthogonal(gradient.lerp(average, self.momentum))
            rows, columns = parameter.shape
            parameter.mul_(1 - rate * self.decay)
            parameter.add_(update, alpha=-rate * max(1.0, rows / columns) ** 0.5)
            parameter.grad = None


def orthogonal(matrix: Tensor, iterations: int = 5) -> Tensor:
    """Roughly the orthogonal matrix nearest to `matrix`, by Newton-Schulz iteration."""
    a, b, c = NEWTON_SCHULZ
    x = matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(iterations):
        gram: Tensor = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    result: Tensor = (x.T if tall else x).float()
    return result
