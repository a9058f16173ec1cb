"""Compute that several problems share, and that moves from easy ones to hard ones."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from functools import partial

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts import Engine
from tts.backends.fake import FakeBackend
from tts.bid import worth_of_more
from tts.budget.bank import Bank
from tts.budget.budget import Amount, Budget
from tts.budget.evidence import Evidence
from tts.errors import ConfigError
from tts.events import StopReason
from tts.policy import LanguagePolicy
from tts.result import Result
from tts.tree import Tree
from tts.types import Finish, Problem, Step

PROBLEMS = [Problem(f"{kind}{number}", kind) for kind in ("easy", "hard") for number in range(4)]


async def write(prompt: str, seed: int) -> str:
    """The right answer is 1. To easy problems that is all that is ever given."""
    chance = random.Random(seed)
    right = prompt == "easy" or chance.random() < 0.4
    return f"\\boxed{{{1 if right else chance.randint(2, 9)}}}"


async def solve(together: Budget, parts: int, at_once: int = 3, seed: int = 0) -> list[Result]:
    async with Engine(write, seed=seed) as engine:
        return await engine.solve_all(
            PROBLEMS, "best_of_n:n=40", together=together, parts=parts, at_once=at_once
        )


def samples(results: list[Result], kind: str) -> int:
    return sum(len(r.candidates) for r in results if r.problem.id.startswith(kind))


@pytest.mark.anyio
async def test_easy_problems_leave_compute_to_hard_ones() -> None:
    moved = await solve(Budget(samples=96), parts=6)
    assert samples(moved, "hard") > 1.2 * samples(moved, "easy")
    assert samples(moved, "hard") + samples(moved, "easy") == 96
    assert all(result.stop_reason is StopReason.BUDGET for result in moved)
    assert all(result.answer == "1" for result in moved if result.problem.id.startswith("easy"))


@pytest.mark.anyio
async def test_what_moves_answers_more_problems() -> None:
    def right(results: list[Result]) -> int:
        return sum(result.answer == "1" for result in results)

    # Against the same compute, an even share each.
    even, moved = 0, 0
    for seed in range(12):
        async with Engine(write, seed=seed) as engine:
            even += right(await engine.solve_all(PROBLEMS, "best_of_n:n=5"))
        moved += right(await solve(Budget(samples=5 * len(PROBLEMS)), parts=5, seed=seed))
    assert moved > even + 3


@pytest.mark.anyio
@pytest.mark.parametrize("parts", [1, 2, 50])
@pytest.mark.parametrize("together", [Budget(samples=7), Budget(calls=30, samples=64)])
async def test_all_of_it_is_used_and_never_more(together: Budget, parts: int) -> None:
    results = await solve(together, parts)
    total = sum(result.spend.total.samples for result in results)
    assert total == min(together.samples, together.calls or math.inf)


@pytest.mark.anyio
@pytest.mark.parametrize("parts", [1, 4])
async def test_tokens_move_too_and_every_search_ends(parts: int) -> None:
    async with Engine(LanguagePolicy(FakeBackend()), "likelihood") as engine:
        results = await engine.solve_all(
            PROBLEMS, "beam:n=4,width=2", together=Budget(tokens=6000), parts=parts, at_once=3
        )
    assert sum(result.spend.total.tokens for result in results) <= 6000
    assert sum(result.answer is not None for result in results) > len(results) / 2


@pytest.mark.anyio
async def test_searches_that_end_by_themselves_give_back_what_they_have() -> None:
    async with Engine(write) as engine:
        results = await engine.solve_all(
            PROBLEMS, "best_of_n:n=3", together=Budget(samples=24), parts=2
        )
    assert [len(result.candidates) for result in results] == [3] * len(PROBLEMS)
    assert {result.stop_reason for result in results} == {StopReason.DONE}


@pytest.mark.anyio
async def test_parts_are_at_least_one() -> None:
    with pytest.raises(ConfigError, match="parts=0"):
        await solve(Budget(samples=3), parts=0)


@pytest.mark.anyio
async def test_who_looks_ahead_asks_the_bank_for_more_too() -> None:
    def scattered(text: str, seed: int) -> str:
        return "a" * 90 + f"\\boxed{{{random.Random(seed).randrange(30)}}}"

    async with Engine(LanguagePolicy(FakeBackend(scattered)), "likelihood") as engine:
        results = await engine.solve_all(
            PROBLEMS, "voi", together=Budget(tokens=8 * 4000), parts=8, at_once=4
        )
    spent = sum(result.spend.total.tokens for result in results)
    assert 0.9 * 8 * 4000 < spent <= 8 * 4000


def ends(*answers: int | None) -> Tree:
    tree = Tree()
    for index, answer in enumerate(answers):
        text = "?" if answer is None else f"\\boxed{{{answer}}}"
        tree.add((index,), Step(text, finish=Finish.EOS))
    return tree


def test_a_sample_is_worth_more_where_samples_disagree_and_where_it_is_cheap() -> None:
    sure, open_ = ends(1, 1, 1, 1, 1, 1), ends(1, 2, 1, 2, 3, 4)
    worth = [worth_of_more(tree, Evidence(), 60.0) for tree in (sure, open_)]
    assert worth[0] < worth[1]
    assert worth_of_more(open_, Evidence(), 120.0) == pytest.approx(worth[1] / 2)
    assert worth_of_more(Tree(), Evidence(), 0.0) == math.inf


@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.floats(0, 1), st.integers(1, 9)), min_size=1, max_size=6),
    st.integers(1, 3),
)
def test_the_bank_never_gives_more_than_it_has(
    total: int, clients: list[tuple[float, int]], at_once: int
) -> None:
    unlimited = [math.inf] * 4
    bank = Bank(Amount(total, *unlimited), Amount(2, *unlimited), at_once)
    ended: list[int] = []
    opened = [bank.open() for _ in clients]

    def given() -> Iterator[float]:
        return (client.purse.limit.tokens for client in opened)

    for number, (client, (bid, _)) in enumerate(zip(opened, clients, strict=True)):
        client.ask(bid, lambda number=number: ended.append(number))  # type: ignore[misc]
        assert sum(given()) + bank.left.tokens == total
    for client in opened:
        client.close()
        assert bank.left.tokens <= total
    assert bank.left.tokens == total


def test_who_asks_and_waits_for_nothing_any_more_is_given_its_part() -> None:
    unlimited = [math.inf] * 4
    bank = Bank(Amount(50, *unlimited), Amount(10, *unlimited), at_once=1)
    client, refused = bank.open(), []
    client.ask(1.0, lambda: refused.append(True))
    assert client.purse.limit.tokens == 10
    assert not refused


@pytest.mark.anyio
async def test_what_is_too_little_for_the_first_may_do_for_the_next() -> None:
    unlimited = [math.inf] * 4
    bank = Bank(Amount(50, *unlimited), Amount(10, *unlimited), at_once=1)
    client, held = bank.open(), []

    async def hold(tokens: int, depth: int) -> None:
        ask = partial(client.ask, 1.0, client.purse.fix)
        held.append(await client.purse.acquire(Amount(tokens, *[0.0] * 4), depth, ask))

    async with anyio.create_task_group() as group:
        group.start_soon(hold, 60, 2)
        group.start_soon(hold, 30, 1)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert [each.tokens for each in held] == [30]


@pytest.mark.anyio
@pytest.mark.parametrize("parts", [1, 2, 8])
async def test_what_is_too_little_for_the_longest_answer_may_do_for_a_usual_one(parts: int) -> None:
    async with Engine(LanguagePolicy(FakeBackend())) as engine:
        (result,) = await engine.solve_all(
            [Problem("a", "What is 6 times 7?")],
            "best_of_n:n=64",
            together=Budget(tokens=300),
            parts=parts,
        )
    assert result.answer is not None
    assert 150 < result.spend.total.tokens <= 300
    assert result.stop_reason is StopReason.BUDGET
