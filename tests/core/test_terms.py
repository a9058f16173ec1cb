"""Terms: a limit that would bound nothing is refused before anything is spent."""

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tts import Budget, Engine, LanguagePolicy, StopReason
from tts.backends.base import ModelInfo
from tts.backends.fake import FakeBackend
from tts.config import knobs
from tts.errors import ConfigError
from tts.function import FunctionPolicy
from tts.registry import load
from tts.spec import Spec, parse
from tts.types import PLAIN, Cost, Manner, Problem, Step
from tts_strategies.best_of_n import BestOfN

pytestmark = pytest.mark.anyio


async def write(prompt: str, seed: int) -> str:
    return f"\\boxed{{{seed % 3}}}"


class Counting(FunctionPolicy):
    """A function of which it is known that it writes seven tokens."""

    @property
    def model(self) -> ModelInfo:
        return replace(super().model, tells_tokens=True)

    def bound(
        self, problem: Problem, prefix: Sequence[Step], max_tokens: int, manner: Manner = PLAIN
    ) -> Cost:
        return Cost(output_tokens=7, samples=1, calls=1)


@pytest.mark.parametrize("of", ["budget", "together"])
@pytest.mark.parametrize("limit", ["tokens", "flops", "usd"])
async def test_what_a_function_does_not_tell_cannot_be_limited(limit: str, of: str) -> None:
    budget = Budget(**{limit: 1})
    async with Engine(write) as engine:
        with pytest.raises(ConfigError) as error:
            await engine.solve_all(["Which?"], BestOfN(n=50), **{of: budget})
    are = {"tokens": "tokens are", "flops": "FLOPs are", "usd": "money is"}[limit]
    assert str(error.value) == (
        f"{are} limited, and write does not say how many tokens it takes: "
        "limit samples, calls or seconds"
    )


@pytest.mark.parametrize(
    "budget", [Budget(samples=5), Budget(calls=5), Budget(seconds=60)], ids=str
)
async def test_what_can_be_counted_of_a_function_can_be_limited(budget: Budget) -> None:
    async with Engine(write) as engine:
        result = await engine.solve("Which?", BestOfN(n=9), budget)
    assert len(result.candidates) == (9 if budget.seconds else 5)


async def test_a_policy_that_tells_its_tokens_is_bound_by_them() -> None:
    async with Engine(Counting(write)) as engine:
        result = await engine.solve("Which?", BestOfN(n=9), Budget(tokens=30))
    assert (len(result.candidates), result.stop_reason) == (4, StopReason.BUDGET)
    assert result.spend.total.tokens == 28


async def test_flops_cannot_be_limited_where_nobody_said_how_large_a_model_is() -> None:
    async with Engine(LanguagePolicy(FakeBackend(parameters=0))) as engine:
        with pytest.raises(ConfigError, match=r"parameters fake has: say it.*limit tokens") as told:
            await engine.solve("Which?", BestOfN(n=2), Budget(flops=1e9))
        result = await engine.solve(
            "Which?", BestOfN(n=2), Budget(tokens=9_000, flops=float("inf"))
        )
    assert result.answer is not None
    (example,) = re.findall(r"\S+parameters=[^\s;]+", str(told.value))
    assert parse(example) == Spec("openai", ("http://host/v1",), {"parameters": "7e9"})
    assert "parameters" in knobs(load("backends", "openai"))
