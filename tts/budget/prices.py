"""Prices: what the tokens of a model cost in money."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from tts.errors import ConfigError
from tts.types import Cost

GRAIN: Final = 2.0**-44
"""USD. The price of a token is rounded up to a multiple of it, which is less than a millionth of
the cheapest price asked today: so sums up to 500 USD are exact in floating point, in any order."""


@dataclass(frozen=True, slots=True)
class Prices:
    """USD for a million tokens, as providers quote them.

    Raises:
        ConfigError: a price is below 0 or not finite, or `cached` is above `input`: what is held
            for a call counts all of its prompt at the latter.
    """

    input: float
    """Tokens of prompts that are computed."""
    output: float
    """Tokens that are decoded."""
    cached: float | None = None
    """Tokens of prompts that come out of the engine's prefix cache; None: the same as others."""

    def __post_init__(self) -> None:
        for name in ("input", "output", "cached"):
            price = getattr(self, name)
            if price is not None and not 0 <= price < math.inf:
                raise ConfigError(f"a price of {price} for {name} tokens must be 0 or above")
        if self.cached is not None and self.cached > self.input:
            raise ConfigError(f"cached tokens at {self.cached} cost more than others: {self.input}")

    def of(self, cost: Cost) -> float:
        """What `cost` comes to, USD."""
        cached = self.input if self.cached is None else self.cached
        return (
            (cost.prompt_tokens - cost.cached_tokens) * _of_token(self.input)
            + cost.cached_tokens * _of_token(cached)
            + cost.output_tokens * _of_token(self.output)
        )

    def or_dearer(self, other: Prices) -> Prices:
        """The dearer of both, kind by kind."""
        own, its = ((p.input if p.cached is None else p.cached) for p in (self, other))
        return Prices(max(self.input, other.input), max(self.output, other.output), max(own, its))


def _of_token(per_million: float) -> float:
    return math.ceil(per_million / 1e6 / GRAIN) * GRAIN
