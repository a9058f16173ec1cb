"""Engines that die over requests: the search is what it would have been, and is paid for."""

from collections import Counter

import pytest

from tts import Budget, Engine, LanguagePolicy, Problem, Result
from tts.again import TIMES
from tts.backends.base import Request
from tts.backends.fake import FakeBackend
from tts.errors import BackendError, Lost
from tts.events import Decided
from tts.types import FREE, POLICY, VERIFIER, Cost, Judgement
from tts.verifier import Case, Meter, ModelInfo, Reduction

pytestmark = pytest.mark.anyio

PROBLEMS = [Problem(f"p{n}", f"Question {n}?") for n in range(6)]
TAKEN = Cost(output_tokens=7, calls=1)


class Fragile:
    """A verifier whose engine is lost over every third question, and then answers."""

    model: ModelInfo | None = None
    reduction = Reduction.LAST
    sampled = False

    def __init__(self, every: int) -> None:
        self.asked = 0
        self.lost = 0
        self.every = every

    def bound(self, case: Case, more_tokens: int) -> Cost:
        return Cost(output_tokens=70, calls=10)

    async def judge(self, case: Case, meter: Meter) -> list[Judgement | None]:
        self.asked += 1
        with meter.call(FREE) as reading:
            reading.cost = TAKEN
            if self.every and self.asked % self.every == 0:
                self.lost += 1
                raise Lost("the critic is gone")
        new = case.steps[len(case.judged) :]
        return [Judgement((sum(map(ord, step.text)) % 10) / 10, cost=TAKEN) for step in new]

    async def aclose(self) -> None: ...


async def solve(strategy: str, backend: FakeBackend, critic: Fragile | None) -> list[Result]:
    async with Engine(LanguagePolicy(backend), critic) as engine:
        return await engine.solve_all(PROBLEMS, strategy, Budget(tokens=50_000))


@pytest.mark.parametrize("strategy", ["best_of_n:n=4", "beam:n=4,width=2", "dvts:n=4,width=2"])
async def test_the_tree_is_what_it_would_have_been(strategy: str) -> None:
    losses: Counter[tuple[int, ...]] = Counter()

    def fault(request: Request) -> Exception | None:
        key = (*request.prompt, *request.seeds)
        losses[key] += 1
        return Lost("the engine is gone") if losses[key] == 1 and sum(request.seeds) % 3 else None

    sturdy = await solve(strategy, FakeBackend(), Fragile(0))
    critic, backend = Fragile(3), FakeBackend(fault=fault)
    shaken = await solve(strategy, backend, critic)
    lost = sum(count > 1 for count in losses.values())
    assert lost > 3
    assert critic.lost > 3
    for before, after in zip(sturdy, shaken, strict=True):
        assert not after.errors
        assert after.answer == before.answer
        assert {node.key: node.text for node in after.tree} == {
            node.key: node.text for node in before.tree
        }
        assert {node.key: node.score for node in after.tree} == {
            node.key: node.score for node in before.tree
        }
    told = [event for result in shaken for event in result.events if isinstance(event, Decided)]
    assert len(told) == lost + critic.lost
    # What was lost is paid for, and nothing else is paid twice.
    assert sum(each.spend.costs[POLICY].calls for each in shaken) == backend.served + lost
    assert sum(each.spend.costs[VERIFIER].calls for each in shaken) == critic.asked


async def test_a_request_by_which_engines_die_is_not_asked_for_ever() -> None:
    asked = []

    def fault(request: Request) -> Exception:
        asked.append(request.seeds)
        return Lost("the engine is gone")

    with pytest.raises(BackendError, match="gone"):
        await solve("best_of_n:n=1", FakeBackend(fault=fault), None)
    assert max(Counter(asked).values()) <= TIMES + 1
