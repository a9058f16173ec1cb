"""Priced: an engine of which it is known what its tokens cost.

Any engine can be given prices in its spec, whoever wrote it:
`vllm:http://host:8000,usd_in=0.2,usd_cached=0.05,usd_out=0.8`, in USD for a million tokens.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Final

from tts.backends.base import ModelInfo
from tts.budget.prices import Prices
from tts.errors import ConfigError
from tts.spec import Spec

KNOBS: Final = ("usd_in", "usd_cached", "usd_out")


class Priced:
    """`engine`, a `Backend` or a `Policy`, in everything but its model's prices."""

    def __init__(self, engine: Any, prices: Prices) -> None:
        self._engine = engine
        self._prices = prices

    @property
    def model(self) -> ModelInfo:
        model: ModelInfo = self._engine.model
        return replace(model, prices=self._prices)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def take_prices(spec: Spec) -> tuple[Spec, Prices | None]:
    """`spec` without its prices, and these; None if it gives none.

    Raises:
        ConfigError: a price is no number of 0 or above, or one of input and output is missing.
    """
    given = {knob: spec.knobs[knob] for knob in KNOBS if knob in spec.knobs}
    rest = {knob: value for knob, value in spec.knobs.items() if knob not in given}
    if not given:
        return spec, None
    for knob in ("usd_in", "usd_out"):
        if knob not in given:
            raise ConfigError(f"{spec.name}: {' and '.join(given)} without {knob}: give both")
    usd = {knob: _number(spec.name, knob, value) for knob, value in given.items()}
    prices = Prices(usd["usd_in"], usd["usd_out"], usd.get("usd_cached"))
    return replace(spec, knobs=rest), prices


def _number(name: str, knob: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ConfigError(
            f"{name}: {knob}={text}: write USD for a million tokens, such as {knob}=0.2"
        )
    return value
