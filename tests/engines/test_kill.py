"""A batch of 50 problems over a server that is killed in the middle, either model's.

Every search ends with solutions, as if nothing had been, and the books agree with what the servers'
replies say: what a request that died with its server took, nobody knows, and its bound is booked.
"""

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from tests.engines.replies import Replies
from tts.budget.budget import Budget
from tts.engine import Engine
from tts.events import StopReason
from tts.result import Result
from tts.types import POLICY, VERIFIER, Account, Problem
from tts_nano.problems import generate

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600), pytest.mark.anyio]

ASKED = [generate("reduction", 2, seed, "test") for seed in range(700_000, 700_050)]
PROBLEMS = [Problem(each.id, each.prompt) for each in ASKED]


async def solve(
    policy: str, verifier: str, server: Any, replies: Replies, kill_after: int
) -> list[Result]:
    """All problems; `server` is killed after so many replies, busy, and started again."""
    results: list[Result] = []

    async def kill() -> None:
        await replies.reach(kill_after)
        server.halt()
        await replies.rest()  # what it had still sent is read, and all searches wait for the rest
        await anyio.to_thread.run_sync(server.kill)
        await anyio.to_thread.run_sync(server.start)

    async with Engine(policy, verifier) as engine:
        replies.clear()
        async with anyio.create_task_group() as group:
            group.start_soon(kill)
            results += await engine.solve_all(
                PROBLEMS, "beam:n=2,width=2", Budget(tokens=20_000), at_once=12
            )
    return results


def output(results: list[Result], account: Account) -> int:
    return sum(result.spend.costs[account].output_tokens for result in results)


async def test_the_policys_server_dies(
    kind: str, serve: Callable[..., Any], replies: Replies
) -> None:
    server = serve(kind)
    spec = f"{server.spec},patience=240"
    results = await solve(spec, "genprm-nano:mode=direct", server, replies, 100)
    nodes = [node for result in results for node in result.tree]
    prompts = sum(result.spend.costs[POLICY].prompt_tokens for result in results)
    assert [result.problem.id for result in results] == [problem.id for problem in PROBLEMS]
    assert all(result.candidates and not result.errors for result in results)
    assert all(result.stop_reason is StopReason.DONE for result in results)
    assert replies.lost
    assert output(results, POLICY) == replies.output + sum(replies.lost)
    assert prompts == replies.prompts
    # Each reply is one step of a tree, and each step is one reply.
    assert len(nodes) == len(replies.served)
    assert sum(node.step.cost.output_tokens for node in nodes) == replies.output


async def test_the_verifiers_server_dies(
    kind: str, serve: Callable[..., Any], replies: Replies
) -> None:
    server = serve(kind, "verifier")
    verifier = f"genprm-nano:backend=[{server.spec},patience=240],mode=cot,votes=2"
    results = await solve("nano", verifier, server, replies, 100)
    judged = [node.judgement for result in results for node in result.tree]
    assert all(result.candidates and not result.errors for result in results)
    assert all(result.stop_reason is StopReason.DONE for result in results)
    assert replies.lost
    assert output(results, VERIFIER) == replies.output + sum(replies.lost)
    # All that stands in the trees came in replies; what came beside a lost vote was paid as well.
    standing = sum(each.cost.output_tokens for each in judged if each is not None)
    assert 0 < standing <= replies.output
    unjudged = [node for result in results for node in result.tree if node.judgement is None]
    assert all(any(n.score is not None and n.score < 0.5 for n in node.path()) for node in unjudged)
