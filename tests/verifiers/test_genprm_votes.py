"""What votes share and what they do not: prompts, histories, code."""

import math

import pytest

from tts.budget.meter import Meter
from tts.seeds import vote_seed
from tts.types import Judgement, Vote
from tts.verifier import Case
from tts_verifiers.genprm import PROFILES, Effort, GenPRM, Mode, Outvoted, Voting
from tts_verifiers.genprm.ballot import heir

pytestmark = pytest.mark.anyio


def signed(text: str, seed: int) -> str:
    """An analysis that tells which seed wrote it."""
    return f"by {seed}.\n</analyze>\n"


def author(text: str) -> int:
    return int(text.rpartition("by ")[2].partition(".")[0])


def by_seed(*seeds_that_object: int):
    def logprobs(text: str) -> tuple[float, float]:
        yes = 0.1 if author(text) in seeds_that_object else 0.9
        return math.log(yes), math.log(1 - yes)

    return logprobs


def verifier(backend, **knobs) -> GenPRM:
    return GenPRM(backend, PROFILES["card"], Effort(**knobs))


async def test_votes_on_a_step_share_one_request_with_a_seed_each(kit) -> None:
    backend = kit.Backend(signed)
    case = kit.case("6")
    (judgement,) = await verifier(backend, votes=5).judge(case, Meter())
    first, *verdicts = backend.requests
    assert first.seeds == tuple(vote_seed(case.seeds[0], vote) for vote in range(5))
    assert len(verdicts) == 5
    assert [author(vote.critique) for vote in judgement.votes] == list(first.seeds)


async def test_the_score_is_the_mean_of_the_votes(kit) -> None:
    case = kit.case("6")
    objector = vote_seed(case.seeds[0], 1)
    backend = kit.Backend(signed, by_seed(objector))
    (judgement,) = await verifier(backend, votes=4).judge(case, Meter())
    assert judgement.score == pytest.approx((0.9 * 3 + 0.1) / 4)


async def test_abstentions_are_counted_and_shown_and_not_averaged(kit) -> None:
    case = kit.case("6")
    mute = vote_seed(case.seeds[0], 0)
    backend = kit.Backend(signed, lambda text: (-9, -9) if author(text) == mute else (-0.1, -4.0))
    (judgement,) = await verifier(backend, votes=3).judge(case, Meter())
    assert judgement.score > 0.9
    assert judgement.reason.startswith("1 of 3 votes abstained: neither")


async def test_step_votes_go_on_from_the_first_vote(kit) -> None:
    case = kit.case("6", "7")
    backend = kit.Backend(signed)
    await verifier(backend, votes=3).judge(case, Meter())
    assert len(backend.requests) == 2 * (1 + 3)
    assert author(backend.prompts()[4].rpartition("<analyze>")[0]) == vote_seed(case.seeds[0], 0)


async def test_chains_go_on_from_what_they_wrote(kit) -> None:
    case = kit.case("6", "7")
    backend = kit.Backend(signed)
    await verifier(backend, votes=3, voting=Voting.CHAIN).judge(case, Meter())
    second = [r for r in backend.requests if r.max_tokens > 1][1:]
    assert len(second) == 3
    for vote, request in enumerate(second):
        before = backend.tokenizer.show(request.prompt).rpartition("<analyze>")[0]
        assert author(before) == vote_seed(case.seeds[0], vote)
        assert request.seeds == (vote_seed(case.seeds[1], vote),)


@pytest.mark.parametrize(
    ("outvoted", "heirs"), [(Outvoted.ADOPT, [0, 0, 2]), (Outvoted.KEEP, [0, 1, 2])]
)
async def test_an_outvoted_chain_adopts_the_first_yes_or_keeps_its_no(
    kit, outvoted: Outvoted, heirs: list[int]
) -> None:
    case = kit.case("6", "7")
    objector = vote_seed(case.seeds[0], 1)
    backend = kit.Backend(signed, by_seed(objector))
    effort = {"votes": 3, "voting": Voting.CHAIN, "outvoted": outvoted}
    await verifier(backend, **effort).judge(case, Meter())
    asked = {}
    for request in backend.requests:
        text = backend.tokenizer.show(request.prompt)
        if "Paragraph 2" in text and request.max_tokens > 1:
            for seed in request.seeds:
                asked[seed] = author(text.rpartition("<analyze>")[0])
    seeds = [vote_seed(case.seeds[1], vote) for vote in range(3)]
    assert [asked[seed] for seed in seeds] == [vote_seed(case.seeds[0], h) for h in heirs]


async def test_chains_that_share_a_history_share_a_request(kit) -> None:
    case = kit.case("6", "7")
    backend = kit.Backend(signed, by_seed(vote_seed(case.seeds[0], 1)))
    await verifier(backend, votes=3, voting=Voting.CHAIN).judge(case, Meter())
    second = [r for r in backend.requests if r.max_tokens > 1][1:]
    assert sorted(len(request.seeds) for request in second) == [1, 2]


async def test_branches_remember_their_own_critique(kit) -> None:
    """The verdict on step t depends on what was chosen for step t - 1, and on nothing else."""
    backend = kit.Backend(signed)
    judge = verifier(backend)
    trunk, other = kit.case("6"), kit.case("six")
    (first,) = await judge.judge(trunk, Meter())
    (rival,) = await judge.judge(Case(other.problem, other.steps, (), (99,)), Meter())
    longer = kit.case("6", "7")
    backend.requests.clear()
    for judged in (first, rival):
        case = Case(longer.problem, longer.steps, (judged,), longer.seeds[1:])
        await judge.judge(case, Meter())
    before = [prompt.rpartition("<analyze>")[0] for prompt in backend.prompts()[::2]]
    assert [author(text) for text in before] == [
        vote_seed(trunk.seeds[0], 0),
        vote_seed(99, 0),
    ]


async def test_judging_step_by_step_asks_what_judging_at_once_asks(kit) -> None:
    texts = ("6", "7", "\\boxed{7}")
    whole, stepwise = kit.Backend(signed), kit.Backend(signed)
    case = kit.case(*texts)
    at_once = await verifier(whole, votes=2, voting=Voting.CHAIN).judge(case, Meter())
    judged: tuple = ()
    for end in range(1, 4):
        part = Case(case.problem, case.steps[:end], judged, case.seeds[end - 1 : end])
        judge = verifier(stepwise, votes=2, voting=Voting.CHAIN)
        judged += tuple(await judge.judge(part, Meter()))
    assert list(judged) == list(at_once)
    assert sorted(whole.prompts()) == sorted(stepwise.prompts())


@pytest.mark.parametrize(
    ("judgement", "shown"),
    [
        (None, "Yes"),
        (Judgement(None, reason="abstained"), "Yes"),
        (Judgement(0.9, (Vote(0.9),)), "Yes"),
        (Judgement(0.2), "No"),
    ],
    ids=["unasked", "abstained", "another verifier's", "no votes"],
)
async def test_a_step_without_critique_is_shown_with_the_verdict_alone(
    kit, judgement: Judgement | None, shown: str
) -> None:
    backend = kit.Backend(signed)
    case = kit.case("6", "7")
    await verifier(backend).judge(
        Case(case.problem, case.steps, (judgement,), case.seeds[1:]), Meter()
    )
    turn = f"6<｜Assistant｜><output>\n**Judgement**: $\\boxed{{{shown}}}$\n</output>\n<｜end▁of▁"  # noqa: RUF001
    assert turn in backend.prompts()[0]


def test_the_first_vote_speaks_for_chains_that_did_not_exist() -> None:
    votes = (Vote(0.9, "a", (1,)), Vote(0.8, "b", (2,)))
    assert heir(Judgement(0.85, votes), 7, Outvoted.ADOPT) is votes[0]


def test_an_abstaining_vote_goes_on_from_one_on_the_side_of_the_majority() -> None:
    votes = (Vote(None, "mute"), Vote(0.1, "no", (1,)), Vote(0.9, "yes", (2,)))
    assert heir(Judgement(0.6, votes), 0, Outvoted.KEEP) is votes[2]
    assert heir(Judgement(0.4, votes), 0, Outvoted.KEEP) is votes[1]
    assert heir(Judgement(0.4, votes), 2, Outvoted.ADOPT) is votes[2]


async def test_judging_stops_at_the_first_wrong_step_if_asked_to(kit) -> None:
    case = kit.case("6", "8", "8")
    backend = kit.Backend(signed, by_seed(vote_seed(case.seeds[1], 0)))
    verdicts = await verifier(backend, stop_at_wrong=True).judge(case, Meter())
    assert [verdict is None for verdict in verdicts] == [False, False, True]
    full = await verifier(backend).judge(case, Meter())
    assert all(verdict is not None for verdict in full)
    rest = Case(case.problem, case.steps, tuple(verdicts[:2]), case.seeds[2:])
    assert list(await verifier(backend, stop_at_wrong=True).judge(rest, Meter())) == [None]


def code_of(seed: int) -> str:
    return f"x{seed} = 1"


def coder(text: str, seed: int) -> str:
    if text.endswith("step by step: "):
        return signed(text, seed)
    if text.endswith("```python\n"):
        return f"{code_of(seed)}\n```\n"
    return "</verify>\n<output>\n"


@pytest.mark.parametrize("voting", list(Voting))
async def test_code_sees_its_own_past_and_no_other_votes(kit, voting: Voting) -> None:
    case = kit.case("6", "7")
    runner = kit.Runner()
    effort = Effort(Mode.CODE, votes=3, voting=voting)
    await GenPRM(kit.Backend(coder), PROFILES["card"], effort, runner=runner).judge(case, Meter())

    def block(step: int, vote: int) -> str:
        return code_of(vote_seed(vote_seed(case.seeds[step], vote), 1))

    preludes = dict(runner.asked)
    assert len(preludes) == 6
    for vote in range(3):
        assert preludes[block(0, vote)] == ()
        past = vote if voting is Voting.CHAIN else 0
        assert preludes[block(1, vote)] == (block(0, past),)


async def test_the_same_seeds_give_the_same_judgements(kit) -> None:
    case = kit.case("6", "7")
    effort = Effort(Mode.CODE, votes=3, voting=Voting.CHAIN)

    async def once():
        verifier = GenPRM(kit.Backend(coder), PROFILES["card"], effort, runner=kit.Runner())
        return await verifier.judge(case, Meter())

    assert await once() == await once()


@pytest.mark.parametrize("voting", Voting)
@pytest.mark.parametrize("mode", [Mode.COT, Mode.UNEXECUTED])
async def test_votes_added_later_are_those_that_would_have_been_given_at_once(
    kit, voting, mode
) -> None:
    case = kit.case("6")
    one = verifier(kit.Backend(signed), mode=mode, voting=voting)
    (first,) = await one.judge(case, Meter())
    added = Case(case.problem, case.steps, (), case.seeds, votes=4, heard=first.votes)
    meter = Meter()
    (all_four,) = await one.judge(added, meter)
    (at_once,) = await verifier(kit.Backend(signed), mode=mode, voting=voting, votes=4).judge(
        case, Meter()
    )
    assert all_four.votes == at_once.votes
    assert all_four.score == at_once.score
    assert all_four.cost == meter.cost  # of the three that are new
    assert meter.cost.samples < at_once.cost.samples


async def test_a_direct_verdict_has_nothing_to_add(kit) -> None:
    case = kit.case("6")
    direct = verifier(kit.Backend(signed), mode=Mode.DIRECT)
    assert not direct.sampled
    (first,) = await direct.judge(case, Meter())
    meter = Meter()
    added = Case(case.problem, case.steps, (), case.seeds, votes=4, heard=first.votes)
    (again,) = await direct.judge(added, meter)
    assert (again.votes, meter.cost.calls) == (first.votes, 0)
