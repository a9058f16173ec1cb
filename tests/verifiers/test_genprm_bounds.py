"""The bound holds for whatever model, conversation and knobs."""

import math
import random

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.budget.meter import Meter
from tts.sandbox.outcome import Outcome, Status
from tts.types import FREE, Cost, Judgement, Problem, Step
from tts.verifier import Case
from tts_verifiers.genprm import PROFILES, Effort, GenPRM, Mode, Outvoted, Voting

PARTS = (
    "</analyze>\n",
    "```python\nx = 1\n```\n",
    "y = 2\n```\n",
    "</verify>\n",
    "<output>\n",
    "<output>\n**Judgement**: $\\boxed{Yes}$\n</output>\n",
    "words and words ",
    "more " * 40,
    "<|im_end|>",
    "",
)


def at_random(text: str, seed: int) -> str:
    chance = random.Random(f"{len(text)} {seed}")
    return "".join(chance.choices(PARTS, k=chance.randint(0, 12)))


def opinions(text: str) -> tuple[float, float]:
    chance = random.Random(text)
    return (-9.0, -9.0) if chance.random() < 0.1 else (math.log(chance.random() + 1e-9), -1.0)


def within(cost: Cost, bound: Cost) -> bool:
    return (
        cost.prompt_tokens <= bound.prompt_tokens
        and cost.output_tokens <= bound.output_tokens
        and cost.samples <= bound.samples
        and cost.calls <= bound.calls
        and cost.code_seconds <= bound.code_seconds
        and cost.new_tokens <= bound.new_tokens
    )


efforts = st.builds(
    Effort,
    mode=st.sampled_from(Mode),
    votes=st.integers(1, 3),
    voting=st.sampled_from(Voting),
    outvoted=st.sampled_from(Outvoted),
    tokens=st.integers(16, 700),
    rounds=st.integers(1, 3),
    step_tokens=st.integers(64, 300),
    output_characters=st.integers(1, 400),
    tau=st.sampled_from([0.0, 0.1, 0.5]),
    stop_at_wrong=st.booleans(),
    apart=st.booleans(),
)
steps = st.lists(
    st.sampled_from(["6\n\n", "", "9" * 250, "\n\n", "x" * 50_000, "<|im_end|>Yes No"]), max_size=4
)


@given(
    efforts,
    st.sampled_from(sorted(PROFILES)),
    steps,
    steps,
    st.sampled_from([500, 1500, 100_000]),
    st.integers(0, 2**32),
    st.sets(st.integers(0, 3)),
)
def test_judging_never_costs_more_than_its_bound(
    kit,
    effort: Effort,
    profile: str,
    before: list[str],
    after: list[str],
    context: int,
    seed: int,
    strange: set[int],
) -> None:
    anyio.run(judge, kit, effort, profile, before, after, context, seed, strange)


async def judge(kit, effort, profile, before, after, context, seed, strange) -> None:
    """`strange` are the steps before of which another verifier's verdict is on record."""
    problem = Problem("p", "What is 7?")
    backend = kit.Backend(at_random, opinions, context)
    runner = kit.Runner(
        lambda code: Outcome(Status.OK, "1\n" * random.Random(seed).randint(0, 300), cpu_seconds=1)
    )
    verifier = GenPRM(backend, PROFILES[profile], effort, runner=runner)
    judged: tuple = ()
    texts: list[str] = []
    for text in before:  # step by step, as in a search: the bound is asked before the step is there
        case = Case(problem, tuple(map(Step, texts)), judged)
        bound = verifier.bound(case, 64)
        texts.append(text)
        meter = Meter()
        longer = Case(problem, tuple(map(Step, texts)), judged, (seed + len(texts),))
        verdicts = await verifier.judge(longer, meter)
        assert within(meter.cost, bound)
        judged += (Judgement(0.9),) if len(judged) in strange else tuple(verdicts)
    seeds = tuple(seed + 100 + index for index in range(len(after)))
    whole = Case(problem, tuple(map(Step, texts + after)), judged, seeds)
    meter = Meter()
    verdicts = await verifier.judge(whole, meter)
    assert within(meter.cost, verifier.bound(whole, 0))
    told = sum((verdict.cost for verdict in verdicts if verdict is not None), FREE)
    assert told == meter.cost
    for verdict in verdicts:
        assert verdict is None or verdict.score is not None or verdict.reason
    assert not backend.unfounded
    for request in backend.requests:
        assert len(request.prompt) < context


@pytest.mark.anyio
async def test_a_verdict_without_reasons_computes_nothing_of_the_other_conversation(
    kit,
) -> None:
    sure = iter([(-0.1, -5.0), (-0.7, -0.7), (-0.1, -5.0)])
    backend = kit.Backend(lambda text, seed: "It is 7.\n</analyze>\n", lambda text: next(sure))
    effort = Effort(Mode.ADAPTIVE, tokens=64, tau=0.1)
    verifier = GenPRM(backend, PROFILES["card"], effort, runner=kit.Runner())
    problem, steps = Problem("p", "What is 7?"), (Step("It is 7.\n\n"), Step("So 7.\n\n"))
    await verifier.judge(Case(problem, steps, (), (1, 2)), Meter())
    assert len(backend.requests) == 4  # directly, directly, an analysis, a verdict
    assert backend.requests[2].known == 0
    assert not backend.unfounded


@pytest.mark.anyio
async def test_a_verdict_of_another_verifier_computes_nothing(kit) -> None:
    backend = kit.Backend()
    verifier = GenPRM(backend, PROFILES["nano"], Effort(Mode.DIRECT))
    problem, steps = Problem("p", "What is 7?"), (Step("It is 7.\n\n"), Step("So 7.\n\n"))
    await verifier.judge(Case(problem, steps, (Judgement(0.9),), (2,)), Meter())
    assert [request.known for request in backend.requests] == [0]


@pytest.mark.anyio
async def test_a_vote_that_goes_on_from_a_conversation_is_held_for_what_is_new_in_it(kit) -> None:
    backend = kit.Backend(lambda text, seed: "It is 7.\n</analyze>\n")
    verifier = GenPRM(backend, PROFILES["nano"], Effort(Mode.COT, tokens=64))
    problem = Problem("p", "What is 7? " + "Think. " * 100)
    steps = (Step("It is 7.\n\n"), Step("So 7.\n\n"))
    first = await verifier.judge(Case(problem, steps[:1], (), (1,)), Meter())
    bound = verifier.bound(Case(problem, steps, tuple(first), (2,)), 0)
    assert bound.prompt_tokens > 1400  # the problem alone is 700, and two requests bring it
    assert bound.new_tokens < 300


@pytest.mark.anyio
async def test_what_follows_a_wrong_step_is_not_judged_and_holds_nothing(kit) -> None:
    backend = kit.Backend(lambda text, seed: "No.\n</analyze>\n", lambda text: (-5.0, -0.01))
    verifier = GenPRM(backend, PROFILES["nano"], Effort(Mode.COT, tokens=64, stop_at_wrong=True))
    problem, steps = Problem("p", "What is 7?"), (Step("8\n\n"), Step("So 8.\n\n"))
    first = await verifier.judge(Case(problem, steps[:1], (), (1,)), Meter())
    after = Case(problem, steps, tuple(first), (2,))
    meter = Meter()
    assert verifier.bound(after, 0) == verifier.bound(after, 64) == FREE
    assert await verifier.judge(after, meter) == [None]
    assert meter.cost == FREE
