"""What every strategy must hold, whatever its paper says."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, ClassVar

import pytest

from tts.backends.base import Dialect
from tts.budget.budget import Budget
from tts.events import StopReason
from tts.strategy import Strategy
from tts.testing.bench import Bench, Opinions, shape, stragglers
from tts.types import Finish

BUDGETS = [
    Budget(tokens=1),
    Budget(tokens=70),
    Budget(tokens=500),
    Budget(tokens=3_000),
    Budget(flops=3_000_000),
    Budget(samples=7),
    Budget(calls=20),
    Budget(usd=0.0008),
    Budget(tokens=3_000, samples=9, calls=30, flops=2_000_000),
]


class StrategyContract:
    """Inherit, and give the fixture `strategy`: small knobs keep it fast."""

    order_free: ClassVar[bool] = True
    """Whether the tree is the same at any timing. Say no only if decisions follow arrivals."""

    dialect: ClassVar[Dialect | None] = None
    """How the policy is spoken to, for strategies that tell it more than the problem."""

    @pytest.fixture
    def strategy(self) -> Strategy:
        raise NotImplementedError("give a fixture `strategy`")

    def test_is_a_frozen_value(self, strategy: Strategy) -> None:
        assert is_dataclass(strategy)
        assert hash(strategy) == hash(type(strategy)(**_knobs(strategy)))
        assert strategy == type(strategy)(**_knobs(strategy))

    def test_answers_when_nothing_is_scarce(self, strategy: Strategy) -> None:
        result = self._bench().solve(strategy)
        assert result.stop_reason is StopReason.DONE
        assert result.answer is not None

    def test_keeps_no_state_between_searches(self, strategy: Strategy) -> None:
        before = repr(strategy)
        first, second = self._bench().solve(strategy), self._bench().solve(strategy)
        assert repr(strategy) == before
        assert shape(first.tree) == shape(second.tree) or not self.order_free

    @pytest.mark.parametrize("budget", BUDGETS, ids=str)
    def test_never_spends_more_than_its_budget(self, strategy: Strategy, budget: Budget) -> None:
        result = self._bench().solve(strategy, budget)  # checks the books at every event
        assert result.spend.total.within(budget.amount)

    @pytest.mark.parametrize("seconds", [0.0, 0.05, 0.31, 5.05])
    def test_a_deadline_ends_it_with_what_was_found(
        self, strategy: Strategy, seconds: float
    ) -> None:
        result = self._bench().solve(strategy, Budget(seconds=seconds or 1e-9))
        assert result.spend.seconds <= seconds + 1e-6 or result.stop_reason is StopReason.DONE

    @pytest.mark.parametrize("seconds", [0.0, 0.05, 0.31, 5.05])
    def test_nothing_is_in_flight_after_cancellation(
        self, strategy: Strategy, seconds: float
    ) -> None:
        result = self._bench().solve(strategy, cancel_after=seconds)
        assert result.stop_reason in {StopReason.CANCELLED, StopReason.DONE}

    def test_timing_does_not_change_its_samples(self, strategy: Strategy) -> None:
        if not self.order_free:
            pytest.skip("decides in the order of arrival")
        timings = [None, stragglers, lambda request, seed: (seed % 7) / 7]
        trees = [shape(self._bench(delay=delay).solve(strategy).tree) for delay in timings]
        assert trees[0] == trees[1] == trees[2]

    @pytest.mark.parametrize("score", [None, 0.0, 1.0], ids=["abstains", "says no", "says yes"])
    def test_lives_with_a_verifier_of_one_opinion(
        self, strategy: Strategy, score: float | None
    ) -> None:
        result = self._bench(verifier=Opinions(score=lambda text: score)).solve(strategy)
        assert result.answer is not None
        if score is None:
            assert result.abstained > 0

    def test_ends_though_the_policy_never_does(self, strategy: Strategy) -> None:
        endless = self._bench(script=lambda text, seed: "and on\n\n" * 500)
        result = endless.solve(strategy)
        assert result.answer is None
        finishes = {node.step.finish for node in result.tree if node.step and node.finished}
        assert finishes <= {Finish.LENGTH}

    def test_lives_with_identical_children(self, strategy: Strategy) -> None:
        same = self._bench(
            script=lambda text, seed: "one\n\ntwo\n\n\\boxed{3}"[len(text) :],
            verifier=Opinions(score=lambda text: 0.9),
        )
        result = same.solve(strategy)
        assert result.answer == "3"
        assert result.confidence > 0.5

    def _bench(self, **given: Any) -> Bench:
        return Bench(dialect=self.dialect, **given)


def _knobs(strategy: Strategy) -> dict[str, object]:
    assert is_dataclass(strategy)
    return {each.name: getattr(strategy, each.name) for each in fields(strategy)}
