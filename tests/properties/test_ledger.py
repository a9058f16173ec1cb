"""The ledger's one promise, under random work: spent + held never exceeds the limit."""

import math
from dataclasses import dataclass

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tts.budget.budget import NOTHING, Amount, Rates
from tts.budget.ledger import Ledger, Listener
from tts.budget.prices import Prices
from tts.budget.purse import Purse
from tts.errors import PluginError
from tts.types import POLICY, VERIFIER, Cost

RATES = Rates(
    {POLICY: 2, VERIFIER: 10}, {POLICY: Prices(0.1, 0.3), VERIFIER: Prices(1 / 3, 0.7, cached=0.1)}
)


@dataclass(frozen=True)
class Work:
    depth: int
    policy_bound: int
    policy_cost: int
    verifier_bound: int
    verifier_cost: int
    seconds: float
    policy_least: int = 0
    """With which it does if need be; then it is the policy's alone."""


def works() -> st.SearchStrategy[list[Work]]:
    bounded = st.integers(0, 100).flatmap(lambda b: st.tuples(st.just(b), st.integers(0, b)))
    work = st.builds(
        lambda depth, policy, verifier, seconds: Work(depth, *policy, *verifier, seconds),
        st.integers(1, 9),
        bounded,
        bounded,
        st.sampled_from([0.0, 0.1, 1.0, 7.0]),
    )
    return st.lists(work, max_size=30)


class Books:
    """A ledger under observation."""

    def __init__(self, limit: Amount, reserve: Amount = NOTHING, pool: Purse | None = None) -> None:
        self.purse = Purse(limit, reserve)
        self.scope = trio.CancelScope()
        self.done: list[Work] = []
        self.ledger = Ledger(
            RATES,
            self.purse,
            pool=pool,
            give_up=self.scope.cancel,
            listener=Listener(held=lambda *_: self.check(), settled=lambda *_: self.check()),
        )

    def check(self) -> None:
        total = self.purse.spent.plus(self.purse.held)
        assert total.within(self.purse.limit), f"{total} is more than {self.purse.limit}"
        assert Amount().within(self.purse.held)

    async def do(self, work: Work) -> None:
        bounds = {
            POLICY: Cost(output_tokens=work.policy_bound, calls=1),
            VERIFIER: Cost(output_tokens=work.verifier_bound, calls=1),
        }
        async with self.ledger.hold(bounds, work.depth) as hold:
            for account, cost in (
                (POLICY, work.policy_cost),
                (VERIFIER, work.verifier_cost),
            ):
                with hold.charge(account) as meter:
                    with meter.call(bounds[account]) as reading:
                        await trio.sleep(work.seconds)
                        reading.cost = Cost(output_tokens=cost, calls=1)
        self.done.append(work)

    async def do_with_less(self, work: Work) -> None:
        """Work of the policy that ends where its hold does."""
        bound = Cost(output_tokens=work.policy_bound, calls=1)
        least = {POLICY: Cost(output_tokens=work.policy_least, calls=1)}
        async with self.ledger.hold({POLICY: bound}, work.depth, least=lambda: least) as hold:
            held = hold.bounds[POLICY]
            assert work.policy_least <= held.output_tokens <= work.policy_bound
            with hold.charge(POLICY) as meter, meter.call(held) as reading:
                await trio.sleep(work.seconds)
                tokens = min(work.policy_cost, held.output_tokens)
                reading.cost = Cost(output_tokens=tokens, calls=1)
        self.done.append(work)

    async def do_all(self, all_work: list[Work]) -> None:
        with self.scope:
            async with trio.open_nursery() as nursery:
                for work in all_work:
                    do = self.do_with_less if work.policy_least else self.do
                    nursery.start_soon(do, work)


def in_virtual_time(function, *arguments) -> None:
    trio.run(function, *arguments, clock=trio.testing.MockClock(autojump_threshold=0))


def do_side_by_side(all_books: list[Books], searches: list[list[Work]]) -> None:
    async def run() -> None:
        async with trio.open_nursery() as nursery:
            for books, all_work in zip(all_books, searches, strict=True):
                nursery.start_soon(books.do_all, all_work)

    in_virtual_time(run)


limits = st.builds(
    Amount,
    tokens=st.sampled_from([0, 1, 60, 150, 400, math.inf]),
    flops=st.sampled_from([100, 900, 4000, math.inf]),
    calls=st.sampled_from([1, 4, 20, math.inf]),
    samples=st.just(math.inf),
    usd=st.sampled_from([1e-6, 1e-4, 3e-4, math.inf]),
)


@given(works(), limits)
def test_spent_and_held_stay_within_the_limit(all_work: list[Work], limit: Amount) -> None:
    books = Books(limit)
    in_virtual_time(books.do_all, all_work)
    books.check()
    assert books.purse.held == Amount()


@given(works(), limits)
def test_it_gives_up_only_when_nothing_that_waits_can_fit(
    all_work: list[Work], limit: Amount
) -> None:
    books = Books(limit)
    in_virtual_time(books.do_all, all_work)
    undone = [work for work in all_work if work not in books.done]
    for work in undone:
        need = RATES.amount(POLICY, Cost(output_tokens=work.policy_bound, calls=1)).plus(
            RATES.amount(VERIFIER, Cost(output_tokens=work.verifier_bound, calls=1))
        )
        assert not need.plus(books.purse.spent).within(limit)


modest = st.builds(
    lambda depth, policy, seconds: Work(depth, policy[2], policy[1], 0, 0, seconds, policy[0]),
    st.integers(1, 9),
    st.tuples(*[st.integers(1, 100)] * 3).map(sorted),
    st.sampled_from([0.0, 0.1, 1.0, 7.0]),
)


@given(works(), st.lists(modest, max_size=10), limits, st.integers(0, 40), st.booleans())
def test_what_can_do_with_less_gets_what_is_left(
    all_work: list[Work], elastic: list[Work], limit: Amount, reserve: int, shared: bool
) -> None:
    if shared:
        pool = purse = Purse(limit)
        books = Books(Amount(*[math.inf] * 5), pool=pool)
    else:
        books = Books(limit, Amount(tokens=reserve))
        purse = books.purse
    in_virtual_time(books.do_all, [*all_work, *elastic])
    books.check()
    assert purse.spent.within(limit)
    assert purse.held == books.purse.held == NOTHING
    for work in elastic:
        if work not in books.done:
            least = RATES.amount(POLICY, Cost(output_tokens=work.policy_least, calls=1))
            assert not least.plus(purse.spent).within(limit)


@given(st.lists(works(), min_size=1, max_size=4), limits)
def test_a_shared_pool_is_never_exceeded(searches: list[list[Work]], limit: Amount) -> None:
    pool = Purse(limit)
    unlimited = Amount(*[math.inf] * 5)
    all_books = [Books(unlimited, pool=pool) for _ in searches]
    do_side_by_side(all_books, searches)
    assert pool.spent.within(limit)
    assert pool.held == Amount()
    assert sum(books.purse.spent.tokens for books in all_books) == pool.spent.tokens


@given(st.lists(works(), min_size=1, max_size=3), limits, limits)
def test_behind_a_purse_of_its_own_it_gives_up_only_when_nothing_that_waits_can_fit_both(
    searches: list[list[Work]], limit: Amount, together: Amount
) -> None:
    pool = Purse(together)
    all_books = [Books(limit, pool=pool) for _ in searches]
    do_side_by_side(all_books, searches)
    assert pool.spent.within(together)
    assert pool.held == NOTHING
    for books, all_work in zip(all_books, searches, strict=True):
        books.check()
        assert books.purse.held == NOTHING
        for work in (work for work in all_work if work not in books.done):
            need = RATES.amount(POLICY, Cost(output_tokens=work.policy_bound, calls=1)).plus(
                RATES.amount(VERIFIER, Cost(output_tokens=work.verifier_bound, calls=1))
            )
            fits_own = need.plus(books.purse.spent).within(limit)
            assert not (fits_own and need.plus(pool.spent).within(together))


def test_who_can_never_hold_of_the_pool_makes_way_for_others_of_its_search() -> None:
    unlimited = Amount(*[math.inf] * 5)
    pool = Purse(unlimited._replace(calls=2))
    books = Books(unlimited._replace(tokens=100), pool=pool)
    first, later = Work(1, 10, 1, 0, 0, 1.0, 10), Work(1, 50, 1, 0, 0, 1.0, 50)  # a call each
    never = Work(1, 40, 1, 40, 1, 1.0)  # two calls, which fit until there has been the first one

    async def run() -> None:
        with books.scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(books.do_with_less, first)
                await trio.sleep(0.1)
                nursery.start_soon(books.do, never)
                await trio.sleep(0.1)
                nursery.start_soon(books.do_with_less, later)

    in_virtual_time(run)
    assert books.done == [first, later]
    assert books.scope.cancelled_caught


def test_the_deepest_waiter_goes_first() -> None:
    books = Books(Amount(100, *[math.inf] * 4))
    shallow, deep = Work(1, 60, 40, 0, 0, 1.0), Work(5, 60, 30, 0, 0, 1.0)
    big = Work(2, 80, 10, 0, 0, 1.0)

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(books.do, big)
            await trio.sleep(0.1)
            nursery.start_soon(books.do_all, [shallow, deep])

    in_virtual_time(run)
    assert books.done == [big, deep, shallow]


def test_the_deepest_of_those_who_can_do_with_less_gets_what_is_left() -> None:
    books = Books(Amount(30, *[math.inf] * 4))
    shallow, deep = Work(1, 60, 25, 0, 0, 1.0, 20), Work(5, 60, 25, 0, 0, 1.0, 20)
    in_virtual_time(books.do_all, [shallow, deep])
    assert books.done == [deep]


def test_what_is_reserved_is_there_when_released() -> None:
    books = Books(Amount(100, *[math.inf] * 4), reserve=Amount(tokens=30))

    async def run() -> None:
        await books.do_all([Work(1, 80, 80, 0, 0, 0.0)])
        assert books.scope.cancelled_caught
        books.ledger.release_reserve()
        assert books.ledger.room().tokens == 100

    in_virtual_time(run)


def test_a_cancelled_call_is_charged_its_bound_unless_it_knows_better() -> None:
    books = Books(Amount(100, *[math.inf] * 4))

    async def run() -> None:
        with trio.move_on_after(0.5):
            await books.do(Work(1, 60, 5, 0, 0, 9.0))
        assert books.purse.spent.tokens == 60
        assert books.purse.held == Amount()

    in_virtual_time(run)


def test_work_that_costs_more_than_its_bound_is_an_error() -> None:
    books = Books(Amount(100, *[math.inf] * 4))

    async def run() -> None:
        with pytest.raises(PluginError, match="more than its bound"):
            await books.do(Work(1, 10, 11, 0, 0, 0.0))

    in_virtual_time(run)
    assert books.purse.spent.tokens == 11
