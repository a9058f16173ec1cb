"""Terms: what a budget comes to for two models: what their tokens count, and what is kept back."""

from __future__ import annotations

import math
from typing import Final

from tts.backends.base import ModelInfo
from tts.budget.budget import Amount, Budget, Rates
from tts.errors import ConfigError
from tts.types import POLICY, VERIFIER, Cost

_TOLD: Final = {"tokens": "tokens are", "flops": "FLOPs are", "usd": "money is"}
"""What can be counted only if a model tells, in sentences."""
_ALWAYS: Final = "samples, calls or seconds"
"""What can be counted of every model."""


def rates_of(policy: ModelInfo, verifier: ModelInfo | None) -> Rates:
    """What the tokens of both models weigh and cost."""
    models = {POLICY: policy} if verifier is None else {POLICY: policy, VERIFIER: verifier}
    return Rates(
        {who: 2.0 * model.parameters for who, model in models.items()},
        {who: model.prices for who, model in models.items() if model.prices is not None},
    )


def check_limits(limit: Amount, *models: ModelInfo | None) -> None:
    """See that what is limited can be counted.

    Raises:
        ConfigError: there is a limit that would bound nothing, since a model does not say how much
            it takes of that.
    """
    for unit, are in _TOLD.items():
        for model in models:
            if model is None or math.isinf(getattr(limit, unit)):
                continue
            if why := _uncounted(unit, model):
                raise ConfigError(f"{are} limited, and {why}")


def _uncounted(unit: str, model: ModelInfo) -> str:
    """Why `unit` of what `model` takes cannot be counted; empty if it can."""
    if not model.tells_tokens:
        return f"{model.name} does not say how many tokens it takes: limit {_ALWAYS}"
    if unit == "flops" and not model.parameters:
        return (
            f"nobody said how many parameters {model.name} has: say it with its backend, those "
            "active for a token, such as openai:http://host/v1,parameters=7e9; or limit tokens, "
            f"{_ALWAYS}"
        )
    if unit == "usd" and model.prices is None:
        return (
            f"nobody said what tokens of {model.name} cost: say it with its backend, in USD for a "
            "million tokens, such as nano:usd_in=0.2,usd_out=0.8 or "
            "vllm:http://host:8000,usd_in=0.2,usd_out=0.8"
        )
    return ""


def reserve(budget: Budget, policy: ModelInfo) -> Amount:
    """What is kept back until there is one answer: a whole answer, at most a quarter of a limit."""
    answer, prices = policy.dialect.answer_tokens, policy.prices
    written = Cost(output_tokens=answer)
    flops = 2.0 * policy.parameters * answer
    return Amount(
        tokens=_quarter(answer, budget.tokens),
        flops=_quarter(flops, budget.flops),
        samples=_quarter(1, budget.samples),
        calls=_quarter(1, budget.calls),
        usd=0 if budget.usd is None or prices is None else min(prices.of(written), budget.usd / 4),
    )


def _quarter(wanted: float, limit: float | None) -> float:
    return 0 if limit is None else min(wanted, limit // 4)
