"""The generative verifier at work in searches: budgets, cancellation, replies in any order."""

import anyio
import pytest

from tts.backends.fake import FakeBackend
from tts.budget.budget import Budget
from tts.budget.meter import Meter
from tts.engine import Engine
from tts.policy import LanguagePolicy
from tts.sandbox.outcome import Outcome, Status
from tts_strategies.beam import Beam
from tts_strategies.best_of_n import BestOfN
from tts_verifiers.genprm import PROFILES, Effort, GenPRM, Mode, Voting

pytestmark = pytest.mark.anyio


def reply(text: str, seed: int) -> str:
    if text.endswith("step by step: "):
        return f"it is {'right ' * (seed % 7)}.\n</analyze>\n"
    return f"print({seed % 5})\n```\n" if text.endswith("```python\n") else "\n<output>\n"


def opinion(text: str) -> tuple[float, float]:
    return (-0.1, -3.0) if len(text) % 3 else (-2.0, -0.2)


@pytest.mark.parametrize("voting", list(Voting))
@pytest.mark.parametrize("strategy", [Beam(n=4, width=2), BestOfN(n=4)], ids=["beam", "best_of_n"])
@pytest.mark.parametrize(
    "budget",
    [Budget(), Budget(tokens=6000), Budget(flops=5e7), Budget(calls=60), Budget(tokens=900)],
    ids=["unlimited", "tokens", "flops", "calls", "few tokens"],
)
async def test_a_search_keeps_its_budget_with_a_verifier_that_runs_code(
    kit, budget: Budget, strategy, voting: Voting
) -> None:
    effort = Effort(Mode.CODE, votes=2, voting=voting, tokens=300, rounds=2, step_tokens=128)
    runner = kit.Runner(lambda code: Outcome(Status.OK, code, cpu_seconds=0.5))
    verifier = GenPRM(kit.Backend(reply, opinion), PROFILES["nano"], effort, runner=runner)
    async with Engine(LanguagePolicy(FakeBackend()), verifier) as engine:
        result = await engine.solve("What is next?", strategy, budget)
    spent = result.spend.total
    assert spent.within(budget.amount)
    if budget == Budget():
        assert all(node.judgement is not None for node in result.tree)
        assert result.spend.verifier.code_seconds > 0


async def test_a_cancelled_judgement_is_charged_what_it_can_have_cost(kit) -> None:
    backend = kit.Backend(reply, opinion)
    sent = anyio.Event()

    async def slow(request, meter):
        with meter.call(request.bound):
            sent.set()
            await anyio.sleep_forever()

    backend.generate = slow
    verifier = GenPRM(backend, PROFILES["nano"], Effort(votes=3, tokens=300))
    meter = Meter()
    case = kit.case("6", "7")
    async with anyio.create_task_group() as group:
        group.start_soon(verifier.judge, case, meter)
        await sent.wait()
        group.cancel_scope.cancel()
    assert meter.cost.calls == 1
    assert 0 < meter.cost.output_tokens <= verifier.bound(case, 0).output_tokens


async def test_votes_run_side_by_side(kit) -> None:
    backend = kit.Backend(reply, opinion)
    serve, waiting = backend.generate, 0
    together = anyio.Event()

    async def all_at_once(request, meter):
        nonlocal waiting
        if request.max_tokens == 1:
            waiting += 1
            if waiting == 4:
                together.set()
            with anyio.fail_after(5):
                await together.wait()
        return await serve(request, meter)

    backend.generate = all_at_once
    verifier = GenPRM(backend, PROFILES["nano"], Effort(votes=4))
    await verifier.judge(kit.case("6"), Meter())
    assert waiting == 4
