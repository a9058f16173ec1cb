"""What can be bought next in a search, and at what price: as it was so far."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from tests.core.test_more_votes import Jury
from tts.budget.budget import UNLIMITED, Budget
from tts.budget.evidence import Evidence
from tts.budget.worth import Offer, mending, voting
from tts.events import Judged, StopReason
from tts.market import Market, Plan, Terms
from tts.result import Result
from tts.strategy import Search
from tts.testing import Bench
from tts.testing.bench import Opinions
from tts.types import POLICY, VERIFIER, Revising

SHARP = Evidence(0.98, 0.02)
STEPS = 4


@dataclass(frozen=True)
class Buys:
    """A strategy out of what is done on a market."""

    what: Callable[[Market], Awaitable[None]]
    terms: Terms
    evidence: Evidence
    needs_verifier = False

    async def run(self, search: Search) -> None:
        await self.what(Market(search, self.evidence, self.terms))


def terms(solutions: int = 9, votes: int = 1, revising: Revising | None = Revising.RESUME) -> Terms:
    return Terms(solutions, votes, 5.0, revising)


def written(*answers: int) -> Callable[[str, int], str]:
    """Steps of equal length, the last of which gives these answers in turn."""
    given = iter(answers)

    def script(text: str, seed: int) -> str:
        answer = next(given)
        steps = range(text.count("\n\n"), STEPS - 1)
        before = "".join(f"{answer:03} step {step}\n\n" for step in steps)
        return f"{before}so \\boxed{{{answer:03}}}"

    return script


@dataclass
class Critic(Opinions):
    """Reads a token for each of a step; finds wrong what it is told to."""

    wrong: Callable[[str], bool] = lambda text: False
    tokens: int = 40

    def __post_init__(self) -> None:
        self.score = lambda text: 0.0 if self.wrong(text) else 1.0


def buy(
    what: Callable[[Market], Awaitable[None]],
    *answers: int,
    on: Terms | None = None,
    verifier: Opinions | None = None,
    budget: Budget = UNLIMITED,
    evidence: Evidence = SHARP,
) -> Result:
    bench = Bench(written(*answers), verifier=verifier or Critic())
    return bench.solve(Buys(what, on or terms(), evidence), budget)


def offered(market: Market, action: str) -> list[Plan]:
    """The plans that begin with it."""
    return [plan for plan in market.plans()[1] if plan.action.startswith(action)]


async def do(market: Market, action: str) -> None:
    await offered(market, action)[0].begin()


def test_at_first_there_is_nothing_but_to_sample() -> None:
    async def look(market: Market) -> None:
        right, plans = market.plans()
        assert right == 0
        assert {plan.action for plan in plans} == {"sample"}

    buy(look)


def test_a_vote_costs_what_votes_have_cost_a_token_of_a_solution() -> None:
    async def look(market: Market) -> None:
        await do(market, "sample")
        assert offered(market, "vote on answer 0")[0].samples == pytest.approx(5, rel=0.02)
        await do(market, "sample")
        await do(market, "vote on answer 0")
        spent = market.search.spent
        (once, *_) = offered(market, "vote on answer 1")
        assert once.samples == pytest.approx(spent[VERIFIER] / (spent[POLICY] / 2), rel=0.02)

    buy(look, 1, 2, on=terms(revising=None), evidence=Evidence(0.99, 0.99))


def test_a_vote_ends_with_the_first_step_found_wrong() -> None:
    async def look(market: Market) -> None:
        await do(market, "sample")
        await do(market, "vote")
        assert not offered(market, "vote")

    result = buy(look, 1, verifier=Critic(wrong=lambda text: text.endswith("step 1\n\n")))
    assert sum(isinstance(event, Judged) for event in result.events) == 2
    assert [each.covered for each in result.candidates] == [1.0]


def test_the_vote_that_was_begun_is_ended_first() -> None:
    """Of three solutions that give one answer."""

    async def look(market: Market) -> None:
        for _ in range(3):
            await do(market, "sample")
        last = market.solutions[1].end
        await market.search.judge(last.path()[1])
        await do(market, "vote on answer 0")
        assert [each.end.covered for each in market.solutions] == [0.0, 1.0, 0.0]

    buy(look, 1, 1, 1, on=terms(revising=None))


def test_there_are_no_more_solutions_and_votes_than_the_terms_allow() -> None:
    async def look(market: Market) -> None:
        await do(market, "sample")
        await do(market, "sample")
        assert not offered(market, "sample")
        for label in (0, 1):
            await do(market, f"vote on answer {label}")
        before = market.search.spent[VERIFIER]
        await do(market, "vote")
        once = market.search.spent[VERIFIER] - before  # on one step, not on all of them
        sample = market.search.spent[POLICY] / 2
        (again,) = offered(market, "vote on answer 1")
        assert again.samples == pytest.approx(once / sample)
        while plans := offered(market, "vote"):
            await plans[0].begin()
        assert [each.end.votes for each in market.solutions] == [3, 3]

    wavers = Jury(says={f"so \\boxed{{{answer:03}}}": [0.9, 0.6, 0.9, 0.6] for answer in (1, 2)})
    result = buy(look, 1, 2, on=terms(solutions=2, votes=3, revising=None), verifier=wavers)
    assert result.stop_reason is StopReason.DONE


def test_a_revision_is_a_solution_too() -> None:
    async def look(market: Market) -> None:
        await do(market, "sample")
        await do(market, "vote")
        assert bool(offered(market, "revise")) == (market.terms.solutions > 1)

    for most in (1, 2):
        wrong = Critic(wrong=lambda text: "boxed" in text)
        buy(look, 1, on=terms(solutions=most), verifier=wrong)


def test_a_vote_is_worth_more_where_what_it_finds_wrong_can_be_resumed() -> None:
    gains = {}

    async def look(market: Market) -> None:
        await do(market, "sample")
        plans = offered(market, "vote")
        gains[market.terms.revising] = max(plan.offer.gain for plan in plans)

    for how in (Revising.RESUME, None):
        buy(look, 1, on=terms(revising=how))
    assert gains[Revising.RESUME] > 0.1
    assert gains[None] == 0  # with one answer there is no choice to change


def test_a_vote_reaches_as_far_as_the_budget_pays_for(monkeypatch: pytest.MonkeyPatch) -> None:
    reached = []

    def played(*known: object) -> list[Offer]:
        reached.extend(ballot.reach for ballot in known[-1])
        return voting(*known)

    async def look(market: Market) -> None:
        await do(market, "sample")
        if plans := offered(market, "vote"):
            await plans[0].begin()
            assert market.solutions[0].end.covered >= reached[-1]

    monkeypatch.setattr("tts.market.voting", played)
    for tokens in range(90, 900, 40):
        buy(look, 1, on=terms(revising=None), budget=Budget(tokens=tokens))
    assert reached == sorted(reached)
    assert set(reached) == {0.25, 0.5, 0.75, 1.0}


def test_what_was_resumed_in_vain_is_told_to_whoever_plays_out_a_vote(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failed = []

    def played(*known: object) -> list[Offer]:
        failed.append(known[-1].failures)
        return mending(*known)

    async def look(market: Market) -> None:
        await do(market, "sample")
        await do(market, "vote")
        await do(market, "revise")
        failed.clear()
        market.plans()

    monkeypatch.setattr("tts.market.mending", played)
    buy(look, 1, 2, verifier=Critic(wrong=lambda text: "boxed" in text))
    assert failed == [1, 1]  # a vote on the revision, and another revision instead


def test_a_vote_that_was_paid_and_changed_nothing_is_not_bought_again() -> None:
    class Stubborn(Critic):
        """Would say something else, and has no other vote."""

        @property
        def sampled(self) -> bool:
            return True

    async def look(market: Market) -> None:
        for _ in range(2):
            await do(market, "sample")
        for label in (0, 1, 0):
            await do(market, f"vote on answer {label}")
        assert not offered(market, "vote on answer 0")
        assert offered(market, "vote on answer 1")

    buy(look, 1, 2, on=terms(votes=4, revising=None), verifier=Stubborn())


def test_a_revision_is_offered_of_what_was_found_wrong_latest_and_failed_least() -> None:
    async def look(market: Market) -> None:
        for _ in range(2):
            await do(market, "sample")
        await do(market, "vote on answer 0")  # wrong at its second step of four
        assert {plan.action for plan in offered(market, "revise")} == {"revise answer 0"}
        await do(market, "vote on answer 1")  # wrong at its last
        assert {plan.action for plan in offered(market, "revise")} == {"revise answer 1"}
        first = offered(market, "revise")[0]
        assert first.samples == pytest.approx(1 / STEPS, rel=0.1)
        await do(market, "revise")
        assert market.samples.times == pytest.approx(2 + 1 / STEPS)
        assert market.solutions[-1].end.parent is market.solutions[1].end.parent
        await do(market, "vote on answer 2")  # wrong again: an error before it went unseen
        assert {plan.action for plan in offered(market, "revise")} == {"revise answer 0"}

    is_wrong = re.compile(r"001 step 1\n\n$|boxed\{00[23]}$").search
    buy(look, 1, 2, 3, verifier=Critic(wrong=lambda text: bool(is_wrong(text))))


def test_where_a_solution_was_resumed_in_vain_it_promises_less() -> None:
    promised = []

    async def look(market: Market) -> None:
        await do(market, "sample")
        await do(market, "vote")
        for answer in (1, 2, 3):
            plans = offered(market, "revise")
            promised.append(max(plan.offer.gain for plan in plans))
            assert market.resumed.total() == answer - 1
            await plans[0].begin()
            await do(market, f"vote on answer {answer}")

    buy(look, 1, 2, 3, 4, verifier=Critic(wrong=lambda text: "boxed" in text))
    assert promised[0] > promised[-1] + 0.05


def test_no_plan_costs_more_than_there_is() -> None:
    """However little is left; and what is offered can be begun without ending the search."""
    looked = 0

    async def look(market: Market) -> None:
        nonlocal looked
        while plans := market.plans()[1]:
            assert market.rest > 0
            looked += math.isfinite(market.rest)
            if market.solutions:
                assert all(plan.samples <= market.rest + 1e-9 for plan in plans)
            await plans[looked % len(plans)].begin()

    for room in range(8):
        result = buy(
            look,
            *range(1, 99),
            on=terms(solutions=99),
            verifier=Critic(wrong=lambda text: "boxed" in text and len(text) % 2 == 0),
            budget=Budget(tokens=400 + 20 * room),
        )
        assert result.stop_reason is StopReason.DONE
    assert looked > 20


def test_who_says_the_same_again_is_not_asked_again() -> None:
    async def look(market: Market) -> None:
        for _ in range(2):
            await do(market, "sample")
            await do(market, "vote")
        assert offered(market, "vote")
        await do(market, "vote")
        assert market.unanimous
        assert not offered(market, "vote")

    buy(look, 1, 2, on=terms(votes=4, revising=None))
