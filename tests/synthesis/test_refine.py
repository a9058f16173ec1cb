"""The critic loop, from what the policy is told to the last turn."""

import pytest

from tts import Engine
from tts.backends.base import Dialect
from tts.backends.fake import FakeBackend
from tts.policy import LanguagePolicy
from tts.refine import analysis, complaint
from tts.tree import Node
from tts.types import FREE, Judgement, Problem, Revising, Step, Vote
from tts.verifier import Reduction
from tts_strategies.refine import Refine

pytestmark = pytest.mark.anyio
PROBLEM = Problem("p", "What is 3 + 4?", "7")
CRITIQUE = (
    "<analyze>\nLet's analyze the Paragraph 2 step by step: Not so: it is 7. \n</analyze>\n"
    "<output>\n**Judgement**: $\\boxed{No}$\n</output>\n"
)


class Critic:
    """Finds steps wrong that say so."""

    model = None
    reduction = Reduction.MIN

    def __init__(self):
        self.seeds = []
        self.problems = []

    def bound(self, case, more_tokens):
        return FREE

    async def judge(self, case, meter):
        self.seeds.append(case.seeds)
        self.problems.append(case.problem)
        return [
            None
            if "?" in step.text
            else Judgement(None, reason="mumbles")
            if "hm" in step.text
            else Judgement(score := 0.1 if "wrong" in step.text else 0.9, (Vote(score, CRITIQUE),))
            for step in case.steps[len(case.judged) :]
        ]

    async def aclose(self):
        pass


def counting(texts):
    """Writes one text after the other."""
    given = iter(texts)
    return lambda text, seed: next(given)


def spied(texts, **dialect):
    prompts = []
    backend = FakeBackend(counting(texts))
    backend._fault = lambda request: prompts.append(backend.tokenizer.decode(request.prompt))
    return backend, Dialect(**{"step_tokens": 64, "answer_tokens": 400, **dialect}), prompts


async def refine(policy, critic, how=Revising.AUTO, turns=3, seed=0):
    """The ends of the turns, oldest first."""
    async with Engine(policy, critic, seed=seed) as engine:
        result = await engine.solve(PROBLEM, Refine(turns=turns, how=how))
    return [node for node in result.tree if node.finished]


async def rewritten(texts, turns=3, **dialect):
    dialect = {"system": "Think.", "user": "{problem}", **dialect}
    backend, spoken, prompts = spied(texts, **dialect)
    done = await refine(LanguagePolicy(backend, dialect=spoken), Critic(), turns=turns)
    return done, prompts


async def test_the_messages_are_those_of_the_protocol_byte_for_byte():
    done, prompts = await rewritten(
        ["fine\n\nwrong: 8\n\n\\boxed{8}", "fine\n\n\\boxed{7}"],
        system="You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
        user=Dialect().user,
    )
    asked = (
        "system: You are Qwen, created by Alibaba Cloud. You are a helpful assistant.\n"
        "user: What is 3 + 4?\n\nPlease reason step by step, and put your final answer within "
        "\\boxed{}.\n"
    )
    assert prompts == [
        asked + "-> ",
        asked + "assistant: fine\n\nwrong: 8\n\n\\boxed{8}\n"
        "user: There might be some problem in this paragraph of your reasoning, please rethink and "
        "refine your answer:\n>wrong: 8\n\nNot so: it is 7.\n-> ",
    ]
    assert [turn.text for turn in done] == ["fine\n\nwrong: 8\n\n\\boxed{8}", "fine\n\n\\boxed{7}"]
    assert done[0].first_wrong is done[0].path()[1]
    assert done[1].first_wrong is None


async def test_each_turn_is_shown_the_solution_before_it_and_no_older_one():
    done, prompts = await rewritten(["wrong a", "wrong b", "wrong c"], turns=2)
    assert len(done) == len(prompts) == 3
    assert "wrong a" in prompts[1]
    assert "wrong b" in prompts[2]
    assert "wrong a" not in prompts[2]
    assert done[-1].text == "wrong c"


async def test_a_solution_without_a_wrong_step_stays():
    done, prompts = await rewritten(["right\n\nhm\n\nwhat?\n\n\\boxed{7}"])
    assert len(done) == len(prompts) == 1


async def test_a_conversation_that_no_longer_fits_ends_with_what_there_is():
    backend = FakeBackend(lambda text, seed: "wrong " * 20, context_tokens=300)
    policy = LanguagePolicy(backend, dialect=Dialect("Think.", step_tokens=64, answer_tokens=400))
    done = await refine(policy, Critic(), Revising.REWRITE)
    assert len(done) == 1


async def test_no_turns_judge_and_do_no_more():
    done, _ = await rewritten(["wrong"], turns=0)
    assert [turn.first_wrong for turn in done] == done


async def test_resuming_goes_on_after_the_last_step_before_the_wrong_one():
    backend, dialect, prompts = spied(["a\n\nb\n\nwrong\n\nc", "d\n\nwrong", "e"], user="{problem}")
    policy = LanguagePolicy(backend, dialect=dialect)
    done = await refine(policy, Critic())
    asked = "user: What is 3 + 4?\n-> "
    assert prompts == [asked, asked + "a\n\nb\n\n", asked + "a\n\nb\n\nd\n\n"]
    assert done[-1].text == "a\n\nb\n\nd\n\ne"
    first, second, third = (turn.key for turn in done)
    assert first == (0, 0, 0, 0)
    assert (first[:2], second[:3]) == (second[:2], third[:3])
    assert len({first[2:], second[2:], third[2:]}) == 3


async def test_seeds_differ_between_turns_and_repeat_between_runs():
    async def seeds(seed):
        critic = Critic()
        policy = LanguagePolicy(FakeBackend(lambda text, own: f"wrong {own}"))
        done = await refine(policy, critic, seed=seed)
        return [turn.text for turn in done], critic.seeds

    texts, votes = await seeds(1)
    assert len(set(texts)) == 4
    assert len({each for turn in votes for each in turn}) == 4
    assert (texts, votes) == await seeds(1)
    assert texts != (await seeds(2))[0]


async def test_the_answer_reaches_neither_policy_nor_verifier():
    critic = Critic()
    policy = LanguagePolicy(FakeBackend(lambda text, seed: "wrong"))
    await refine(policy, critic)
    assert {problem.answer for problem in critic.problems} == {None}


def test_the_critique_told_is_one_that_calls_the_step_wrong():
    votes = (Vote(0.9, "It is good."), Vote(0.0, "It is bad."), Vote(0.1, "Awful."))
    told = complaint(Node((0,), step=Step("wrong\n\n"), judgement=Judgement(0.3, votes)))
    assert told.endswith(">wrong\n\nIt is bad.")


@pytest.mark.parametrize(
    ("critique", "expected"),
    [
        (CRITIQUE, "Not so: it is 7."),
        ("<analyze>\nNo colon here\n</analyze>", "No colon here"),
        ("A whole text: as it is", "A whole text: as it is"),
        ("", ""),
    ],
)
def test_of_a_critique_the_analysis_after_the_first_colon_is_told(critique, expected):
    assert analysis(critique) == expected


def test_a_model_that_is_given_the_bare_problem_takes_no_instructions():
    assert Dialect().takes_instructions
    assert Dialect(user="{problem}", system="Be brief.").takes_instructions
    assert not Dialect(user="{problem}").takes_instructions
