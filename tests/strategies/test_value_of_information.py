"""The online scheduler: what it buys, what it leaves, and that it says why."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from tts.backends.fake import FakeBackend
from tts.budget.budget import Budget
from tts.budget.meter import Meter
from tts.budget.worth import Offer
from tts.events import Decided, Judged, StopReason
from tts.market import Plan
from tts.result import Result
from tts.testing import Bench
from tts.testing.bench import Opinions
from tts.types import Judgement
from tts.verifier import Case
from tts_strategies.value_of_information import ValueOfInformation, _best

LONGEST = FakeBackend().model.dialect.answer_tokens


def answers(text: str, seed: int) -> str:
    """Right (7) three times in five, else one of many wrong ones."""
    chance = random.Random(seed)
    return f"\\boxed{{{7 if chance.random() < 0.6 else chance.randrange(8, 99)}}}"


def knows(text: str) -> float:
    return 0.95 if "{7}" in text else 0.05


def bought(result: Result) -> list[str]:
    return [event.action.split()[0] for event in result.events if isinstance(event, Decided)]


def plan(action: str, gain: float, samples: float) -> Plan:
    async def begin() -> None:
        """Never begun."""

    return Plan(Offer(gain, samples, 1), action, begin, samples)


def test_it_begins_with_the_faster_of_the_two_plans_that_make_most_of_the_rest() -> None:
    quick, good, fair = plan("a", 0.01, 0.01), plan("b", 0.5, 1.0), plan("c", 0.4, 1.0)
    assert _best([quick, fair, good], 2.0, 0.0) is good  # and not the fastest of all
    # Two that begin alike are not added up: b and d would be .8, d and c are .68.
    long, other = plan("b", 0.6, 2.0), plan("c", 0.2, 1.0)
    assert _best([good, long, other], 3.0, 0.0) is long
    # Nor are two for which there is no room: one of them alone is better.
    assert _best([good, plan("d", 0.6, 1.5)], 2.0, 0.0).action == "d"
    assert _best([good, plan("d", 0.6, 1.5)], 2.5, 0.0) is good


def test_a_budget_that_its_worst_solution_would_take_is_used_for_more() -> None:
    result = Bench(answers, verifier=Opinions(knows)).solve(
        ValueOfInformation(), Budget(tokens=LONGEST)
    )
    assert result.answer == "7"
    assert "vote" in bought(result)


def test_where_votes_are_too_dear_samples_go_on() -> None:
    dear = Opinions(knows, tokens=100_000)
    result = Bench(answers, verifier=dear).solve(ValueOfInformation(), Budget(tokens=4 * LONGEST))
    assert set(bought(result)) == {"sample", "stop"}
    assert result.spend.verifier.calls == 0
    assert len(result.candidates) > 4


def test_votes_are_bought_where_they_settle_what_samples_leave_open() -> None:
    sure = ValueOfInformation(approves_right=0.95, approves_wrong=0.05, at_most=12)
    for seed in range(6):
        result = Bench(answers, seed=seed, verifier=Opinions(knows, tokens=2)).solve(sure)
        assert "vote" in bought(result)
        assert result.answer == "7"
        assert result.confidence > 0.9


def in_steps(text: str, seed: int) -> str:
    """Five steps, then an answer."""
    begun = text.count(".\n\n")
    return "".join(f"{step}.\n\n" for step in range(begun, 5)) + answers(text, seed)


def ends_well(text: str) -> float:
    """Finds no error but in the answer."""
    return 0.05 if "boxed" in text and "{7}" not in text else 0.95


def test_a_solution_is_resumed_before_the_step_found_wrong() -> None:
    sharp = ValueOfInformation(approves_right=0.98, approves_wrong=0.02, at_most=12)
    revised = 0
    for seed in range(6):
        bench = Bench(in_steps, seed=seed, verifier=Opinions(ends_well, tokens=4))
        result = bench.solve(sharp)
        assert result.answer == "7"
        revised += bought(result).count("revise")
        branches = [node for node in result.tree if len(node.children) > 1]
        assert all(len(node.path()) == 5 for node in branches), "only the last step was wrong"
        assert sum(len(node.children) - 1 for node in branches) == bought(result).count("revise")
    assert revised > 0


def test_a_vote_that_the_budget_cuts_off_counts_for_what_it_saw() -> None:
    cut = 0
    for room in range(0, 400, 20):
        result = Bench(in_steps, verifier=Opinions(ends_well, tokens=60)).solve(
            ValueOfInformation(approves_right=0.98, approves_wrong=0.02),
            Budget(tokens=LONGEST + room),
        )
        for each in result.candidates:
            path = result.tree[each.key].path()
            if all(node.judgement is None or node.judgement.score > 0.5 for node in path):
                heard = sum(node.judgement is not None for node in path)
                assert each.covered == pytest.approx(heard / len(path))
                cut += 0 < heard < len(path)
    assert cut > 0


@dataclass
class Silent(Opinions):
    """Has nothing to say, as often as it is asked."""

    asked: Counter[int] = field(default_factory=Counter)

    @property
    def sampled(self) -> bool:
        return True

    async def judge(self, case: Case, meter: Meter) -> Sequence[Judgement | None]:
        self.asked[id(case.steps[-1])] += 1
        return await super().judge(case, meter)


def test_a_solution_on_which_the_verifier_abstains_is_not_asked_about_again() -> None:
    silent = Silent(lambda text: None)
    result = Bench(in_steps, verifier=silent).solve(ValueOfInformation(at_most=6))
    assert result.abstained
    assert set(silent.asked.values()) == {1}
    assert result.stop_reason is StopReason.DONE


def test_a_verifier_that_says_the_same_again_is_asked_again_once_at_most() -> None:
    result = Bench(answers, verifier=Opinions(lambda text: 0.6, tokens=2)).solve(
        ValueOfInformation(at_most=12, correlation=0.1)
    )
    decided = [e for e in result.events if isinstance(e, Decided | Judged)]
    idle = [
        first
        for first, then in pairwise(decided)
        if isinstance(first, Decided)
        and first.action.startswith("vote")
        and isinstance(then, Decided)
    ]
    assert len(idle) == 1


def test_a_verifier_that_knows_nothing_is_not_asked() -> None:
    blind = ValueOfInformation(approves_right=0.5, approves_wrong=0.5, at_most=12)
    result = Bench(answers, verifier=Opinions(lambda text: 0.5)).solve(blind)
    assert not any(isinstance(event, Judged) for event in result.events)
    assert result.spend.verifier.calls == 0


def test_every_action_has_its_reason() -> None:
    result = Bench(answers, verifier=Opinions(knows)).solve(ValueOfInformation(at_most=4))
    decisions = [event for event in result.events if isinstance(event, Decided)]
    assert decisions[-1].action == "stop"
    assert all("P(right)" in event.reason for event in decisions)
