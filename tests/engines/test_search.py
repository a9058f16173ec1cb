"""A search whose policy runs on one real engine and whose verifier on another."""

from collections.abc import Callable
from typing import Any

import pytest

from tts.budget.budget import Budget
from tts.engine import Engine
from tts.result import Result
from tts.types import POLICY, VERIFIER

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600), pytest.mark.anyio]


async def solve(policy: str, verifier: str) -> Result:
    async with Engine(policy, verifier) as engine:
        return await engine.solve("Evaluate 12 + 30 * 2.", "beam:n=8,width=2", Budget(tokens=8_000))


async def test_beam_search_with_both_models_served(serve: Callable[..., Any]) -> None:
    policy, verifier = serve("vllm"), serve("sglang", "verifier")
    result = await solve(policy.spec, f"genprm-nano:backend={verifier.spec}")
    assert result.answer == "72"
    assert not result.errors
    costs = result.spend.costs
    assert costs[POLICY].cached_tokens > 0
    assert costs[VERIFIER].cached_tokens > costs[VERIFIER].prompt_tokens / 2
    assert result.spend.total.tokens <= 8_000
