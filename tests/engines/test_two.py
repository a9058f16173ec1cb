"""Two real copies of one model: prefixes stay where they are held, and one of them may die."""

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from tests.engines.replies import Replies
from tts.budget.budget import Budget
from tts.engine import Engine
from tts.events import StopReason
from tts.result import Result
from tts.types import POLICY, Problem
from tts_nano.problems import generate

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600), pytest.mark.anyio]

ASKED = [generate("reduction", 3, seed, "test") for seed in range(710_000, 710_016)]
PROBLEMS = [Problem(each.id, each.prompt) for each in ASKED]


async def solve(engine: Engine) -> list[Result]:
    return await engine.solve_all(PROBLEMS, "beam:n=4,width=2", Budget(tokens=20_000), at_once=6)


async def test_two_copies_share_the_work_and_one_may_die(
    kind: str, serve: Callable[..., Any], replies: Replies
) -> None:
    pair = [serve(kind), serve(kind, "policy", 2)]
    spec = f"{kind}:{pair[0].url},{pair[1].url},patience=240"
    async with Engine(spec, "likelihood") as engine:
        replies.clear()
        whole = await solve(engine)
        assert not replies.lost
        went = Counter(url for url, _ in replies.urls)
        assert min(went[server.url] for server in pair) >= len(replies.urls) / 5
        # What some copy has begun is gone on with there, unless it has far more to do.
        assert stayed(replies.urls) >= 0.8
        assert replies.output == sum(each.spend.costs[POLICY].output_tokens for each in whole)

        replies.clear()
        results: list[Result] = []

        async def kill() -> None:
            await replies.reach(40)
            await anyio.to_thread.run_sync(pair[1].kill)

        async with anyio.create_task_group() as group:
            group.start_soon(kill)
            results += await solve(engine)
    assert all(each.stop_reason is StopReason.DONE for each in results)
    assert all(each.candidates and not each.errors for each in results)
    last = [url for url, _ in replies.urls[-20:]]
    assert set(last) == {pair[0].url}
    spent = sum(each.spend.costs[POLICY].output_tokens for each in results)
    assert spent == replies.output + sum(replies.lost)
    nodes = sum(len(each.tree) for each in results)
    assert nodes == len(replies.served)


def stayed(asked: list[tuple[str, tuple[int, ...]]]) -> float:
    """Share of the requests with an ancestor that went where their nearest one did."""
    places: dict[tuple[int, ...], set[str]] = defaultdict(set)
    for url, prompt in asked:
        places[prompt].add(url)
    kept = []
    for url, prompt in asked:
        for end in range(len(prompt) - 1, 0, -1):
            if prompt[:end] in places:
                kept.append(url in places[prompt[:end]])
                break
    assert len(kept) > len(asked) / 4
    return sum(kept) / len(kept)
