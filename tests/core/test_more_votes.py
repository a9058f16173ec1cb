"""More votes on a step that is judged: what they change, what they cost, who is asked again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import trio

from tests.core.test_hands import Does, script
from tts.events import Judged, StopReason, replay
from tts.strategy import Search
from tts.testing import Bench
from tts.testing.bench import Opinions
from tts.types import Cost, Judgement, Vote
from tts.verifier import Case, Meter, Reduction


@dataclass
class Jury(Opinions):
    """Votes by a script: the n-th vote on a step with this text."""

    says: dict[str, Sequence[float]] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    """Steps' texts, with how many votes were given."""

    @property
    def reduction(self) -> Reduction:
        return Reduction.MIN

    @property
    def sampled(self) -> bool:
        return True

    async def judge(self, case: Case, meter: Meter) -> list[Judgement | None]:
        verdicts: list[Judgement | None] = []
        wrong = any(said is not None and (said.score or 0) < 0.5 for said in case.judged)
        heard = case.heard
        for step in case.steps[len(case.judged) :]:
            if wrong:
                verdicts.append(None)
                continue
            scripted = self.says.get(step.text.strip(), [1.0] * 9)
            new = tuple(Vote(score) for score in scripted[len(heard) : case.votes or 1])
            cost = Cost(output_tokens=self.tokens * len(new), samples=len(new), calls=1)
            bound = Cost(output_tokens=2 * self.tokens, samples=1, calls=1)
            with meter.call(bound) as reading:
                await trio.sleep(self.seconds)
                reading.cost = cost
            self.asked.append((step.text.strip(), len(new)))
            votes = heard + new
            mean = sum(vote.score or 0 for vote in votes) / len(votes)
            verdicts.append(Judgement(mean, votes, cost=cost))
            wrong, heard = mean < 0.5, ()
        return verdicts

    def bound(self, case: Case, more_tokens: int) -> Cost:
        new = len(case.steps) - len(case.judged) + (more_tokens > 0)
        votes = case.votes or 1
        return Cost(output_tokens=2 * self.tokens * new * votes, samples=new * votes, calls=new)


SOLUTION = "a\n\nb\n\nc\n\n\\boxed{1}"


def solve(jury: Jury, what):
    return Bench(script=script(SOLUTION), verifier=jury).solve(Does(what))


def test_a_step_gets_votes_until_it_has_that_many() -> None:
    jury = Jury(says={"b": [0.9, 0.6, 0.6]})

    async def explore(search: Search) -> None:
        leaf = await search.complete(search.root)
        second = leaf.path()[1]
        assert second.score == 0.9
        await search.judge(second, 3)
        assert [vote.score for vote in second.judgement.votes] == [0.9, 0.6, 0.6]
        assert leaf.score == second.score == pytest.approx(0.7)  # scores below follow
        await search.judge(second, 2)  # it has more than that

    result = solve(jury, explore)
    assert result.stop_reason is StopReason.DONE
    assert jury.asked == [("a", 1), ("b", 1), ("c", 1), ("\\boxed{1}", 1), ("b", 2)]
    assert result.spend.verifier.output_tokens == 10 * (4 + 2)


def test_what_was_not_judged_behind_a_wrong_step_is_judged_when_that_turns_right() -> None:
    jury = Jury(says={"b": [0.1, 0.95, 0.95]})

    async def explore(search: Search) -> None:
        leaf = await search.complete(search.root)
        second = leaf.path()[1]
        assert leaf.judgement is None
        assert leaf.score == 0.1
        await search.judge(second, 3)
        assert leaf.score == second.score > 0.5
        await search.judge(leaf)
        assert leaf.judgement is not None

    solve(jury, explore)
    assert jury.asked == [("a", 1), ("b", 1), ("b", 2), ("c", 1), ("\\boxed{1}", 1)]


def test_the_judgement_says_what_all_its_votes_cost_and_the_log_tells_it_again() -> None:
    jury = Jury()

    async def explore(search: Search) -> None:
        leaf = await search.complete(search.root)
        await search.judge(leaf, 4)
        assert leaf.judgement.cost.output_tokens == 40

    result = solve(jury, explore)
    again = replay(result.events)
    assert [node.judgement for node in again] == [node.judgement for node in result.tree]
    last = [event for event in result.events if isinstance(event, Judged)][-1]
    assert len(last.judgement.votes) == 4


def test_two_who_ask_for_the_same_votes_get_them_once() -> None:
    jury = Jury()

    async def explore(search: Search) -> None:
        leaf = await search.complete(search.root)
        await search.spread(lambda: search.judge(leaf, 4), 5)

    solve(jury, explore)
    assert jury.asked.count(("\\boxed{1}", 3)) == 1


def test_a_verifier_with_nothing_to_add_is_not_asked_again() -> None:
    async def explore(search: Search) -> None:
        leaf = await search.complete(search.root)
        await search.judge(leaf, 4)

    result = Bench(script=script(SOLUTION), verifier=Opinions()).solve(Does(explore))
    assert result.spend.verifier.calls == 4


@dataclass
class Slow(Jury):
    """More votes on these steps take so long."""

    takes: dict[str, float] = field(default_factory=dict)

    async def judge(self, case: Case, meter: Meter) -> list[Judgement | None]:
        if case.heard:
            await trio.sleep(self.takes.get(case.steps[-1].text.strip(), 0))
        return await super().judge(case, meter)


@pytest.mark.parametrize("late", ["a", "b"])
def test_whoever_is_heard_last_scores_hold_for_the_whole_prefix(late: str) -> None:
    jury = Slow(says={"a": [0.9, 0.1, 0.1], "b": [0.95, 0.85, 0.85]}, takes={late: 5.0})
    scores: list[float | None] = []

    async def explore(search: Search) -> None:
        leaf = await search.complete(search.root)
        first, second, *_ = leaf.path()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(search.judge, second, 3)
            nursery.start_soon(search.judge, first, 3)
        scores.extend(node.score for node in (first, second, leaf))

    solve(jury, explore)
    assert scores == pytest.approx([1.1 / 3] * 3)


def test_a_step_that_is_taken_back_while_one_below_is_written_exceeds_no_hold() -> None:
    jury = Slow(says={"a": [0.4, 0.9, 0.9]}, seconds=0.1)

    async def explore(search: Search) -> None:
        (wrong,) = await search.expand(search.root)
        (below,) = await search.expand(wrong)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(search.expand, below)
            await trio.sleep(0.01)
            nursery.start_soon(search.judge, wrong, 3)  # turns right meanwhile

    bench = Bench(
        script=lambda text, seed: SOLUTION[len(text) :],
        verifier=jury,
        delay=lambda request, seed: 2.0,
    )
    assert bench.solve(Does(explore)).stop_reason is StopReason.DONE
