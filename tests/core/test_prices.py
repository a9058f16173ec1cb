"""Money: what tokens cost, and limits that hold in it."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts import Engine
from tts.backends.priced import take_prices
from tts.budget.budget import Budget, Rates
from tts.budget.prices import Prices
from tts.errors import ConfigError
from tts.events import StopReason
from tts.function import FunctionVerifier
from tts.registry import names, open_backend
from tts.spec import parse
from tts.testing import Bench
from tts.testing.bench import POLICY_PRICES, VERIFIER_PRICES
from tts.types import POLICY, Cost
from tts.verifier import Reduction
from tts_strategies.best_of_n import BestOfN
from tts_verifiers.cascade import Cascade

prices = st.builds(
    lambda fresh, written, share: Prices(fresh, written, fresh * share),
    st.floats(0, 100),
    st.floats(0, 400),
    st.floats(0, 1),
)
costs = st.builds(
    lambda cached, fresh, written: Cost(cached + fresh, cached, written),
    *[st.integers(0, 10**6)] * 3,
)


@given(prices, costs)
def test_money_is_never_less_than_quoted_and_hardly_more(price: Prices, cost: Cost) -> None:
    quoted = (
        (cost.prompt_tokens - cost.cached_tokens) * price.input
        + cost.cached_tokens * price.cached
        + cost.output_tokens * price.output
    ) / 1e6
    tokens = cost.prompt_tokens + cost.output_tokens
    assert quoted * (1 - 1e-12) <= price.of(cost) <= quoted * (1 + 1e-12) + tokens * 1e-13


@given(prices, st.lists(costs.filter(lambda cost: cost.prompt_tokens < 1000), max_size=20))
def test_sums_of_money_are_exact_in_any_order(price: Prices, many: list[Cost]) -> None:
    amounts = [price.of(cost) for cost in many]
    assert math.fsum(amounts) == sum(amounts) == sum(reversed(amounts))


def test_a_search_reports_the_money_that_its_tokens_cost() -> None:
    result = Bench().solve(BestOfN(n=4))
    spend = result.spend
    usd = POLICY_PRICES.of(spend.policy) + VERIFIER_PRICES.of(spend.verifier)
    assert spend.total.usd == pytest.approx(usd, rel=1e-9)
    assert spend.total.usd > 0


def test_money_that_is_gone_ends_a_search() -> None:
    whole = Bench().solve(BestOfN(n=8)).spend.total.usd
    result = Bench().solve(BestOfN(n=8), Budget(usd=whole / 2))
    assert result.stop_reason is StopReason.BUDGET
    assert 0 < result.spend.total.usd <= whole / 2
    assert result.answer is not None


def test_the_output_that_a_room_has_place_for_is_the_most_that_fits() -> None:
    rates = Rates({POLICY: 2.0}, {POLICY: Prices(0.1, 0.7)})
    prompt = Cost(prompt_tokens=50, samples=1, calls=1)
    room = Budget(tokens=500, flops=900, usd=0.0002).amount
    most = rates.output_within(POLICY, room, prompt)
    for tokens, fits in ((most, True), (most + 1, False)):
        cost = prompt + Cost(output_tokens=tokens)
        assert rates.amount(POLICY, cost).within(room) is fits
    assert rates.output_within(POLICY, Budget(usd=1e-9).amount, prompt) == 0


def test_any_engine_can_be_given_prices_in_its_spec() -> None:
    backend = open_backend("fake:usd_in=0.2,usd_cached=0.05,usd_out=0.8")
    assert backend.model.prices == Prices(0.2, 0.8, 0.05)
    assert backend.served == 0  # it is that engine in all else
    assert open_backend("fake").model.prices is None


@pytest.mark.parametrize(
    ("knobs", "complaint"),
    [
        ("usd_in=0.2", "usd_in without usd_out"),
        ("usd_cached=1", "usd_cached without usd_in"),
        ("usd_in=x,usd_out=1", "usd_in=x"),
        ("usd_in=-1,usd_out=1", "usd_in=-1"),
        ("usd_in=inf,usd_out=1", "usd_in=inf"),
        ("usd_in=1,usd_cached=2,usd_out=1", "cost more than others"),
        ("usd_inn=1", "usd_inn"),
    ],
)
def test_prices_that_make_no_sense_are_refused(knobs: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        open_backend(f"fake:{knobs}")


@pytest.mark.anyio
@pytest.mark.parametrize("budget", [{"budget": Budget(usd=1)}, {"together": Budget(usd=1)}])
async def test_money_cannot_be_limited_where_no_prices_are_known(budget: dict[str, Budget]) -> None:
    from tts.types import Problem

    async with Engine("fake") as engine:
        with pytest.raises(ConfigError, match=r"tokens of fake cost: say it") as raised:
            await engine.solve_all([Problem("p", "Q?")], "best_of_n:n=1", **budget)
    for example in re.findall(r"\S+usd_in=\S+", str(raised.value)):
        spec, prices = take_prices(parse(example))
        assert spec.name in names("backends")
        assert not spec.knobs
        assert prices == Prices(0.2, 0.8)


def test_a_verifier_that_asks_no_model_costs_no_money() -> None:
    async def score(prompt: str, steps: list[str]) -> list[float]:
        return [0.5] * len(steps)

    result = Bench(verifier=FunctionVerifier(score)).solve(BestOfN(n=2), Budget(usd=1))
    assert result.spend.total.usd == POLICY_PRICES.of(result.spend.policy)


def test_a_cascade_costs_the_dearer_prices_and_none_if_one_is_unknown() -> None:
    from tts.testing.bench import Opinions

    class Other(Opinions):
        @property
        def model(self):  # type: ignore[no-untyped-def]
            from tts.verifier import ModelInfo

            return ModelInfo("other", 900, 1 << 30, prices=Prices(1.0, 0.2, 0.1))

    class Unpriced(Opinions):
        @property
        def model(self):  # type: ignore[no-untyped-def]
            from tts.verifier import ModelInfo

            return ModelInfo("unpriced", 100, 1 << 30)

    both = Cascade(Opinions(), Other(), reduction=Reduction.LAST).model
    assert both is not None
    assert (both.name, both.prices) == ("other", Prices(1.0, 1.1, 0.3))
    half = Cascade(Opinions(), Unpriced()).model
    assert half is not None
    assert half.prices is None
