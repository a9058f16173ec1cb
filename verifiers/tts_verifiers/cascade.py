"""Cascade: a cheap verifier first, an expensive one for the steps that it leaves undecided.

A score of the first up to `low` or from `high` on decides; one between them, or none, is put to the
second, whose verdict then stands. If that one abstains, the first's stands. Each of the two sees
what it said itself of earlier steps; of what the other said it sees the score alone.

Both are booked on one account. Its FLOPs are counted at the rate of the larger model, and its money
at the dearer prices, so that such budgets are kept, at the price of counting the other model's work
too dear.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import reduce
from typing import Any, Self

from tts.budget.prices import Prices
from tts.config import make
from tts.errors import ConfigError
from tts.verifier import (
    Case,
    Cost,
    Judgement,
    Meter,
    ModelInfo,
    Reduction,
    Verifier,
    closed,
    opened,
)

_FIRST, _THEN = "first", "then"


class Cascade:
    """Implements `tts.verifier.Verifier`. Owns both of its verifiers."""

    def __init__(
        self,
        first: Verifier,
        then: Verifier,
        *,
        low: float = 0.2,
        high: float = 0.8,
        reduction: Reduction | None = None,
    ) -> None:
        """`reduction` of mixed verdicts: the second's if None.

        Raises:
            ConfigError: not 0 <= low <= high <= 1.
        """
        if not 0 <= low <= high <= 1:
            raise ConfigError(f"low={low}, high={high} must be 0 <= low <= high <= 1")
        self._first = first
        self._then = then
        self._low = low
        self._high = high
        self._reduction = reduction or then.reduction
        self._open = AsyncExitStack()

    @property
    def model(self) -> ModelInfo | None:
        models = [model for model in (self._first.model, self._then.model) if model is not None]
        if not models:
            return None
        larger = max(models, key=lambda model: model.parameters)
        prices = [model.prices for model in models if model.prices is not None]
        return replace(
            larger,
            parameters=larger.parameters if all(model.parameters for model in models) else 0,
            prices=reduce(Prices.or_dearer, prices) if len(prices) == len(models) else None,
        )

    @property
    def reduction(self) -> Reduction:
        return self._reduction

    @property
    def sampled(self) -> bool:
        """No: whose votes they would be follows from the score, which they would change."""
        return False

    def bound(self, case: Case, more_tokens: int) -> Cost:
        """As if every step were put to both."""
        first = replace(case, judged=_own(case.judged, _FIRST))
        then = replace(case, judged=_own(case.judged, _THEN))
        return self._first.bound(first, more_tokens) + self._then.bound(then, more_tokens)

    async def judge(self, case: Case, meter: Meter) -> Sequence[Judgement | None]:
        judged = list(case.judged)
        for index, seed in enumerate(case.seeds, len(case.judged)):
            # Of which of the two a vote was would follow from others: nobody is told in between.
            until = replace(case, steps=case.steps[: index + 1], seeds=(seed,), told=None)
            judged.append(await self._decide(until, judged, meter))
        return judged[len(case.judged) :]

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(opened(self._first))
            await stack.enter_async_context(opened(self._then))
            self._open = stack.pop_all()
        return self

    async def __aexit__(self, *exception: Any) -> None:
        await self._open.__aexit__(*exception)

    async def aclose(self) -> None:
        await closed(self._first)
        await closed(self._then)

    async def _decide(
        self, case: Case, judged: Sequence[Judgement | None], meter: Meter
    ) -> Judgement | None:
        """The verdict on the last step."""
        (quick,) = await self._first.judge(replace(case, judged=_own(judged, _FIRST)), meter)
        score = None if quick is None else quick.score
        if score is not None and not self._low < score < self._high:
            return _signed(quick, _FIRST)
        (sure,) = await self._then.judge(replace(case, judged=_own(judged, _THEN)), meter)
        if sure is None or (sure.score is None and score is not None):
            spoken, cost = _signed(quick, _FIRST), sure
        else:
            spoken, cost = _signed(sure, _THEN), quick
        if spoken is None or cost is None:
            return spoken
        return replace(spoken, cost=spoken.cost + cost.cost)


def _own(judged: Sequence[Judgement | None], name: str) -> tuple[Judgement | None, ...]:
    """What one of the two said, as it said it; of the other's verdicts the score alone.

    A cascade may stand in a cascade: names are paths.
    """
    seen: list[Judgement | None] = []
    for each in judged:
        if each is None:
            seen.append(None)
        elif each.by == name or each.by.startswith(f"{name}."):
            seen.append(replace(each, by=each.by[len(name) + 1 :]))
        else:
            seen.append(Judgement(each.score, reason="of another verifier"))
    return tuple(seen)


def _signed(judgement: Judgement | None, name: str) -> Judgement | None:
    if judgement is None:
        return None
    return replace(judgement, by=f"{name}.{judgement.by}" if judgement.by else name)


def cascade(
    first: str,
    then: str,
    low: float = 0.2,
    high: float = 0.8,
    reduction: Reduction | None = None,
) -> Cascade:
    """A cheap verifier first, an expensive one between two thresholds; both by their specs.

    A spec with knobs stands in brackets: `cascade:first=likelihood,then=[genprm-nano:votes=2]`.
    """
    return Cascade(
        make("verifiers", first), make("verifiers", then), low=low, high=high, reduction=reduction
    )
