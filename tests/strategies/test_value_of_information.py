"""The online scheduler: what it buys, what it leaves, and that it says why."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

from tts.backends.fake import FakeBackend
from tts.budget.budget import Budget
from tts.events import Decided, Judged
from tts.result import Result
from tts.testing import Bench
from tts.testing.bench import Opinions
from tts.types import Cost
from tts.verifier import Case
from tts_strategies.value_of_information import ValueOfInformation

LONGEST = FakeBackend().model.dialect.answer_tokens


def answers(text: str, seed: int) -> str:
    """Right (7) three times in five, else one of many wrong ones."""
    chance = random.Random(seed)
    return f"\\boxed{{{7 if chance.random() < 0.6 else chance.randrange(8, 99)}}}"


def knows(text: str) -> float:
    return 0.95 if "{7}" in text else 0.05


def bought(result: Result) -> list[str]:
    return [event.action.split()[0] for event in result.events if isinstance(event, Decided)]


def test_a_budget_for_one_solution_gives_an_answer() -> None:
    result = Bench(answers, verifier=Opinions(knows)).solve(
        ValueOfInformation(), Budget(tokens=LONGEST)
    )
    assert result.answer is not None
    assert len(result.candidates) == 1


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
    return "".join(f"{step}.\n\n" for step in range(5)) + answers(text, seed)


class Wary(Opinions):
    """Might take much more than it does."""

    def bound(self, case: Case, more_tokens: int) -> Cost:
        usual = super().bound(case, more_tokens)
        return replace(usual, output_tokens=10 * usual.output_tokens)


def test_no_vote_is_begun_that_is_not_expected_to_be_finished() -> None:
    scheduler = ValueOfInformation(approves_right=0.95, approves_wrong=0.05)
    begun = finished = 0
    for seed in range(12):
        result = Bench(in_steps, seed=seed, verifier=Wary(knows, tokens=10)).solve(
            scheduler, Budget(tokens=LONGEST + 60 * seed)
        )
        ends = [node for node in result.tree if node.finished]
        begun += sum(end.path()[0].judgement is not None for end in ends)
        finished += sum(end.score is not None for end in ends)
    assert 0 < begun == finished


def test_a_solution_on_which_the_verifier_abstains_is_not_asked_about_again() -> None:
    result = Bench(answers, verifier=Opinions(lambda text: None)).solve(
        ValueOfInformation(at_most=6)
    )
    judged = Counter(event.key for event in result.events if isinstance(event, Judged))
    assert judged
    assert set(judged.values()) == {1}


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
