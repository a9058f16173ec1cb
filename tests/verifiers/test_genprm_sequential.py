"""Votes that can no longer change a verdict are not waited for, and the verdict is that of all."""

from __future__ import annotations

import math
import random

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.budget.meter import Meter
from tts.errors import ConfigError
from tts.seeds import vote_seed
from tts.types import FREE, Vote
from tts.verifier import Case
from tts_verifiers.genprm import PROFILES, Effort, GenPRM, Mode, Voting
from tts_verifiers.genprm.ballot import Opinion, is_right, tally
from tts_verifiers.genprm.sequential import Decisive, decided, enough, least_more

EARLY = [Decisive.EAGER, Decisive.SPARING]
scores = st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=9)


def mean(of: list[float | None]) -> float | None:
    return tally([Opinion(Vote(each)) for each in of], FREE).score


@given(scores)
def test_the_verdict_of_the_first_votes_is_that_of_all(said: list[float | None]) -> None:
    opinions = [Opinion(Vote(each)) for each in said]
    used = enough(opinions, len(said))
    early, late = mean(said[:used]), mean(said)
    assert (early is None) == (late is None)
    assert early is None or is_right(early) == is_right(late)


@given(scores, st.integers(1, 5))
def test_it_is_not_decided_as_long_as_another_outcome_is_possible(
    said: list[float | None], due: int
) -> None:
    if not decided([Opinion(Vote(each)) for each in said], due):
        outcomes = {mean([*said, *[vote] * due]) for vote in (0.0, 1.0)}
        assert len({is_right(each) for each in outcomes if each is not None}) == 2


@given(scores, st.integers(0, 5))
def test_fewer_votes_than_the_least_can_not_decide(said: list[float | None], due: int) -> None:
    opinions = [Opinion(Vote(each)) for each in said]
    least = least_more(opinions, due)
    assert 0 <= least <= due
    for more in range(least):
        for vote in (0.0, 0.4, 0.6, 1.0):
            assert not decided([*opinions, *[Opinion(Vote(vote))] * more], due - more)


@pytest.mark.anyio
async def test_no_vote_begins_before_it_may_be_needed(kit) -> None:
    for votes, needed in ((1, 1), (2, 2), (4, 3), (5, 3), (8, 5)):
        backend, meter = kit.Backend(signed), Meter()
        sparing = verifier(backend, votes=votes, decisive=Decisive.SPARING)
        (judgement,) = await sparing.judge(kit.case("6"), meter)
        assert len(judgement.votes) == needed  # each of them says 0.9
        assert meter.cost.calls == 2 * needed
        assert meter.wasted == FREE


def signed(text: str, seed: int) -> str:
    return f"by {seed}.\n</analyze>\n"


def by_chance(text: str) -> tuple[float, float]:
    chance = random.Random(text.rpartition("by ")[2].partition(".")[0])
    if chance.random() < 0.15:
        return -9.0, -9.0  # it abstains
    yes = chance.uniform(0.01, 0.99)
    return math.log(yes), math.log(1 - yes)


def verifier(backend: object, **knobs: object) -> GenPRM:
    return GenPRM(backend, PROFILES["card"], Effort(**knobs))  # type: ignore[arg-type]


@given(st.integers(1, 8), st.integers(0, 2**40), st.sampled_from(EARLY))
def test_a_decisive_verifier_decides_as_with_all_votes(
    kit, votes: int, seed: int, decisive: Decisive
) -> None:
    case = Case(kit.case("6").problem, kit.case("6").steps, (), (seed,))

    async def both() -> None:
        meter = Meter()
        early = verifier(kit.Backend(signed, by_chance), votes=votes, decisive=decisive)
        bound = early.bound(case, 0)
        (soon,) = await early.judge(case, meter)
        (all_of_them,) = await verifier(kit.Backend(signed, by_chance), votes=votes).judge(
            case, Meter()
        )
        assert soon.votes == all_of_them.votes[: len(soon.votes)]
        assert (soon.score is None) == (all_of_them.score is None)
        assert soon.score is None or is_right(soon.score) == is_right(all_of_them.score)
        assert soon.cost == meter.cost
        for field in ("prompt_tokens", "output_tokens", "samples", "calls"):
            assert getattr(meter.cost, field) <= getattr(bound, field)

    anyio.run(both)


class Slow:
    """Votes with some seeds never come."""

    def __init__(self, backend: object, never: set[int]) -> None:
        self._backend = backend
        self._never = never
        self.aborted: list[int] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._backend, name)

    async def generate(self, request, meter):  # type: ignore[no-untyped-def]
        (seed,) = request.seeds
        if seed not in self._never:
            return await self._backend.generate(request, meter)
        with meter.call(request.bound) as reading:
            try:
                await anyio.sleep_forever()
            finally:
                self.aborted.append(seed)
                reading.cost = type(request.bound)(len(request.prompt), 0, 5, 1, 1)


@pytest.mark.anyio
async def test_outstanding_votes_are_aborted_charged_exactly_and_wasted(kit) -> None:
    case = kit.case("6")
    seeds = [vote_seed(case.seeds[0], vote) for vote in range(5)]
    backend = Slow(kit.Backend(signed), never=set(seeds[3:]))
    meter = Meter()
    with anyio.fail_after(5):
        (judgement,) = await verifier(backend, votes=5, decisive=Decisive.EAGER).judge(case, meter)
    assert [vote.score for vote in judgement.votes] == pytest.approx([0.9] * 3)
    assert sorted(backend.aborted) == sorted(seeds[3:])
    assert (meter.wasted.output_tokens, meter.wasted.calls) == (2 * 5, 2)
    assert meter.cost.calls == 3 * 2 + 2


@pytest.mark.anyio
async def test_an_early_vote_does_not_decide_before_those_that_come_first(kit) -> None:
    case = kit.case("6")
    first = vote_seed(case.seeds[0], 0)
    backend = Slow(kit.Backend(signed), never={first})
    with anyio.move_on_after(0.2) as scope:
        await verifier(backend, votes=5, decisive=Decisive.EAGER).judge(case, Meter())
    assert scope.cancelled_caught


@pytest.mark.anyio
async def test_votes_asked_for_by_number_are_all_given(kit) -> None:
    case = kit.case("6")
    asked = Case(case.problem, case.steps, (), case.seeds, votes=5)
    (judgement,) = await verifier(kit.Backend(signed), decisive=Decisive.SPARING).judge(
        asked, Meter()
    )
    assert len(judgement.votes) == 5


@pytest.mark.anyio
@pytest.mark.parametrize("apart", [False, True])
async def test_whoever_wants_to_know_is_told_of_votes_in_their_order(kit, apart: bool) -> None:
    told: list[tuple[int, int]] = []
    case = kit.case("6", "7")
    heard = Case(
        case.problem, case.steps, (), case.seeds,
        told=lambda votes, due: told.append((len(votes), due)),
    )  # fmt: skip
    await verifier(kit.Backend(signed), votes=4, apart=apart).judge(heard, Meter())
    assert told == sorted(set(told))
    assert all(given + due == 4 for given, due in told)
    assert told[-1] == (3, 1)


def test_chains_need_all_their_votes() -> None:
    with pytest.raises(ConfigError, match="decisive=eager needs voting=step"):
        Effort(Mode.COT, votes=3, voting=Voting.CHAIN, decisive=Decisive.EAGER)
