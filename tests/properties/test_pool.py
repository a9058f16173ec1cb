"""Searches that share limits, all at once or in parts, under random budgets and timings."""

import math

import anyio
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.test_search import budgets, strategies, timing
from tts.backends.fake import FakeBackend
from tts.backends.priced import Priced
from tts.budget.budget import UNLIMITED, Amount, Budget
from tts.engine import _pools
from tts.events import StopReason
from tts.policy import LanguagePolicy
from tts.result import Result
from tts.run import Plan, Run
from tts.strategy import Strategy
from tts.testing.bench import POLICY_PRICES, Opinions, Verbatim
from tts.types import Problem
from tts_strategies.best_of_n import BestOfN


def solve_all(
    strategy: Strategy, own: Budget, together: Budget, seed: int, n: int, parts: int, at_once: int
) -> list[Result]:
    """As `Engine.solve_all`, on a virtual clock. Fails if it does not end within a day of that."""
    backend = Priced(FakeBackend(delay=timing(seed)), POLICY_PRICES)
    verifier = Opinions(seconds=2.0 if seed % 2 else 0.01, tokens=(5, 10, 60, 200)[seed % 4])
    results: list[Result] = []

    async def main() -> None:
        pools = _pools(together, parts, n, at_once, math.inf)
        runs = iter(
            Run(
                Problem(f"p{index}", f"Question {index}?"),
                Plan(strategy, own, seed, speculate=3 if seed % 5 == 0 else 0),
                LanguagePolicy(backend),
                verifier,
                Verbatim(),
                pool=pool,
            )
            for index, pool in enumerate(pools)
        )

        async def work() -> None:
            for run in runs:
                result = await run()
                results.append(result)

        with trio.fail_after(86_400):
            async with anyio.create_task_group() as group:
                for _ in range(n if parts > 1 else min(at_once, n)):
                    group.start_soon(work)
        assert not any(any(pool.purse.held) for pool in pools)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    return results


@settings(max_examples=2 * settings().max_examples)
@given(
    strategies | st.just(BestOfN(n=40)),
    st.just(UNLIMITED) | budgets,
    budgets,
    st.integers(0, 999),
    st.integers(1, 5),
    st.sampled_from([1, 1, 2, 3, 8, 50]),
    st.sampled_from([1, 2, 256]),
)
def test_every_search_ends_and_what_they_share_is_never_exceeded(
    strategy: Strategy, own: Budget, together: Budget, seed: int, n: int, parts: int, at_once: int
) -> None:
    results = solve_all(strategy, own, together, seed, n, parts, at_once)
    assert len(results) == n
    totals = [result.spend.total for result in results]
    spent = Amount(*(math.fsum(unit) for unit in zip(*totals, strict=True)))
    limit = together.amount
    assert all(used <= most * (1 + 1e-12) for used, most in zip(spent, limit, strict=True))
    assert all(total.within(own.amount) for total in totals)


@pytest.mark.parametrize("tokens", range(200, 1500, 100))
def test_the_last_of_one_unit_is_given_to_whoever_can_begin_with_it(tokens: int) -> None:
    together = Budget(tokens=tokens, samples=40)
    for seed in range(4):
        results = solve_all(BestOfN(n=6), UNLIMITED, together, seed, n=2, parts=2, at_once=2)
        assert {result.stop_reason for result in results} <= {StopReason.BUDGET, StopReason.DONE}


@pytest.mark.parametrize("seed", range(24))
def test_who_can_never_get_what_it_wants_makes_way_for_what_still_fits(seed: int) -> None:
    own, together = Budget(tokens=900), Budget(tokens=1200 + 40 * seed)
    results = solve_all(BestOfN(n=40), own, together, seed, n=3, parts=4, at_once=256)
    assert sum(result.spend.total.tokens for result in results) > 0.9 * together.amount.tokens
