"""The chat routes of real engines: what they can do is seen, and a search by steps goes through."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tts.budget.budget import Budget
from tts.engine import Engine
from tts.types import POLICY

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300), pytest.mark.anyio]


@pytest.fixture
async def engine(server: Any) -> AsyncIterator[Engine]:
    knobs = "user={problem},step_tokens=96,answer_tokens=640"
    async with Engine(f"openai:{server.url}/v1,{knobs}", "genprm-nano") as engine:
        yield engine


@pytest.mark.parametrize("strategy", ["best_of_n:n=4", "beam:n=4,width=2"])
async def test_a_search_goes_through_text(engine: Engine, strategy: str) -> None:
    budget = Budget(tokens=6_000)
    result = await engine.solve("Evaluate 12 + 30 * 2.", strategy, budget)
    assert result.answer == "72"
    assert not result.errors
    spent = result.spend.costs[POLICY]
    assert spent.output_tokens == sum(node.step.cost.output_tokens for node in result.tree)
