"""Terms: what a budget comes to for two models: what their tokens count, and what is kept back."""

from __future__ import annotations

from tts.backends.base import ModelInfo
from tts.budget.budget import Amount, Budget, Rates
from tts.errors import ConfigError
from tts.types import POLICY, VERIFIER, Cost


def rates_of(policy: ModelInfo, verifier: ModelInfo | None) -> Rates:
    """What the tokens of both models weigh and cost."""
    models = {POLICY: policy} if verifier is None else {POLICY: policy, VERIFIER: verifier}
    return Rates(
        {who: 2.0 * model.parameters for who, model in models.items()},
        {who: model.prices for who, model in models.items() if model.prices is not None},
    )


def check_prices(*models: ModelInfo | None) -> None:
    """See that money can be counted.

    Raises:
        ConfigError: a model has no prices.
    """
    for model in models:
        if model is not None and model.prices is None:
            raise ConfigError(
                f"money is limited, and nobody said what tokens of {model.name} cost: add "
                "usd_in=...,usd_out=... to its backend, in USD for a million tokens"
            )


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
