"""What is called waste: everything that was paid for and is in no answer."""

from __future__ import annotations

import random

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_hands import Does, script
from tts.budget.budget import Budget
from tts.budget.meter import Meter
from tts.events import Settled
from tts.log import decode, encode
from tts.strategy import Manner, Search
from tts.testing import Bench
from tts.types import FREE, POLICY, VERIFIER, Cost
from tts.waste import waste
from tts_strategies.beam import Beam
from tts_strategies.best_of_n import BestOfN
from tts_strategies.dvts import DVTS

ONE = Cost(output_tokens=3, calls=1)


def test_solutions_that_answer_waste_nothing() -> None:
    spend = Bench().solve(BestOfN(n=4)).spend
    assert dict(spend.wasted) == {POLICY: FREE, VERIFIER: FREE}
    assert spend.wasted_share == 0


def test_a_pruned_step_is_waste_with_the_verdict_on_it() -> None:
    async def explore(search: Search) -> None:
        kept, pruned = await search.expand(search.root, 2)
        assert kept.step is not None
        assert pruned.step is not None
        await search.expand(kept)

    result = Bench(script=script("a\n\n", "longer\n\n", "\\boxed{1}"), delay=None).solve(
        Does(explore)
    )
    pruned = result.tree[(1,)]
    assert result.spend.wasted[POLICY] == pruned.step.cost
    assert result.spend.wasted[VERIFIER] == pruned.judgement.cost
    lost = pruned.step.cost.output_tokens + pruned.judgement.cost.output_tokens
    assert result.spend.waste.tokens == lost


def test_a_solution_that_was_cut_or_scratched_is_waste() -> None:
    async def explore(search: Search) -> None:
        await search.complete(search.root)
        await search.complete(search.root, manner=Manner(temperature=0, scratch=True))
        await search.complete(search.root)

    solutions = script("\\boxed{1}", "\\boxed{2}", "x" * 999)
    result = Bench(script=solutions, verifier=None).solve(Does(explore))
    lost = [node.step.cost.output_tokens for node in (result.tree[(1,)], result.tree[(2,)])]
    assert result.spend.waste.tokens == sum(lost)


def test_a_search_without_an_answer_wasted_everything() -> None:
    result = Bench(script=lambda text, seed: "and on\n\n" * 500).solve(BestOfN(n=2))
    assert result.spend.waste == result.spend.total
    assert result.spend.wasted_share == 1


def test_calls_that_gave_nothing_are_told_apart_from_others() -> None:
    meter, other = Meter(), Meter()
    with meter.call(ONE) as reading:
        reading.cost = ONE
    with pytest.raises(KeyError), meter.call(ONE):
        raise KeyError
    assert (meter.cost, meter.wasted) == (ONE + ONE, ONE)

    async def cancelled() -> None:
        with trio.move_on_after(0), other.call(ONE) as reading:
            reading.cost = Cost(output_tokens=1)
            await trio.sleep(9)

    trio.run(cancelled)
    assert other.wasted == other.cost == Cost(output_tokens=1)
    meter.add(other)
    assert meter.wasted == ONE + Cost(output_tokens=1)
    meter.lose(Meter(ONE))
    assert meter.wasted == ONE + ONE + Cost(output_tokens=1)


def test_the_log_tells_waste_and_an_older_one_none() -> None:
    event = Settled(1, VERIFIER, ONE, Cost(output_tokens=2))
    line = encode(event)
    assert decode(line) == event
    del line["wasted"]
    assert decode(line) == Settled(1, VERIFIER, ONE)


@given(
    st.sampled_from([Beam(n=6, width=2), DVTS(n=6, width=3), BestOfN(n=5)]),
    st.none() | st.integers(100, 4000),
    st.none() | st.floats(0.1, 9.0),
    st.integers(0, 99),
)
def test_waste_and_what_is_in_the_answers_add_up_to_all(
    strategy: object, tokens: int | None, cancel_after: float | None, seed: int
) -> None:
    bench = Bench(
        delay=lambda request, sample: random.Random(sample).choice([0.0, 0.1, 3.0]), seed=seed
    )
    result = bench.solve(strategy, Budget(tokens=tokens), cancel_after=cancel_after)  # type: ignore[arg-type]
    useful = {node for end in result.tree.ends() if end.answered for node in end.path()}
    kept = sum(node.step.cost.output_tokens for node in useful)
    kept += sum(node.judgement.cost.output_tokens for node in useful if node.judgement)
    assert result.spend.waste.tokens == result.spend.total.tokens - kept
    assert dict(result.spend.wasted) == dict(waste(result.events, result.tree))


def test_without_a_verifier_nothing_of_it_is_wasted() -> None:
    assert VERIFIER not in Bench(verifier=None).solve(BestOfN(n=2)).spend.wasted
