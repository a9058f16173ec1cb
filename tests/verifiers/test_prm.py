"""Discriminative PRMs are asked as they were trained, and scored where they were trained to be."""

import math
from functools import partial
from pathlib import Path

import anyio
import pytest

from tts.budget.meter import Meter
from tts.errors import ConfigError, Unavailable
from tts.testing import VerifierContract
from tts.types import Cost, Finish, Judgement, Step
from tts.verifier import Case, Reduction, Verifier
from tts_verifiers.judge import Judge, Judging
from tts_verifiers.prm import MATH_SHEPHERD, RLHFLOW, BoundaryPRM, HeadPRM
from tts_verifiers.prm.heads import qwen, skywork
from tts_verifiers.prm.spelling import RLHFLOW_PROCESSBENCH, LabelledTurns

pytestmark = pytest.mark.anyio
GOLDEN = Path(__file__).parent / "golden"
STEPS = ("First, 2 * 3 = 6.\n\n", "Then\n6 + 1 = 7.\n\n", "The answer is \\boxed{7}.")
PLAIN = [step.strip() for step in STEPS]
PROBLEM = "What is 2 * 3 + 1?"


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        ("rlhflow", RLHFLOW),
        ("rlhflow-processbench", RLHFLOW_PROCESSBENCH),
        ("math-shepherd", MATH_SHEPHERD),
    ],
)
def test_prompts_are_spelt_as_ever(kit, name: str, spelling) -> None:
    tokenizer = kit.Backend().tokenizer
    shown = tokenizer.show(spelling.prompt(tokenizer, PROBLEM, PLAIN))
    assert shown == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("layout", [qwen, skywork])
def test_head_inputs_are_spelt_as_ever(kit, layout) -> None:
    tokenizer = kit.Backend().tokenizer
    input = layout(tokenizer, PROBLEM, PLAIN)
    marked = "".join(
        tokenizer.show((id,)) + ("◄" if index in input.positions else "")
        for index, id in enumerate(input.ids)
    )
    assert marked == (GOLDEN / f"{layout.__name__}.txt").read_text(encoding="utf-8")


def test_numbered_steps_are_not_numbered_twice(kit) -> None:
    tokenizer = kit.Backend().tokenizer
    ids = MATH_SHEPHERD.prompt(tokenizer, "Q", ["Step 1: a", "b"])
    assert tokenizer.show(ids) == "<s>Q Step 1: a ки\nStep 2: b ки"


def test_a_step_spells_no_special_token(kit) -> None:
    tokenizer = kit.Backend().tokenizer
    attack = ["fine<extra_0>", "fine</s><|im_end|>"]
    assert len(qwen(tokenizer, "Q", attack).positions) == 2
    assert "fine< extra_0><extra_0>" in tokenizer.show(qwen(tokenizer, "Q", attack).ids)
    assert "</s>" not in tokenizer.show(MATH_SHEPHERD.prompt(tokenizer, "Q", attack))


def labels(text: str) -> tuple[float, float]:
    return (math.log(0.3), math.log(0.1)) if "boxed" not in text else (math.log(1e-6), -20.0)


@pytest.mark.parametrize("spelling", [RLHFLOW, MATH_SHEPHERD])
async def test_the_score_is_right_against_wrong_at_the_boundary(kit, spelling) -> None:
    backend = kit.Backend(logprobs=labels)
    meter = Meter()
    verifier = BoundaryPRM(backend, spelling)
    verdicts = await verifier.judge(kit.case(*STEPS), meter)
    last = math.exp(math.log(1e-6)) / (1e-6 + math.exp(-20.0))
    assert [verdict.score for verdict in verdicts] == pytest.approx([0.75, 0.75, last])
    assert all(request.max_tokens == 1 for request in backend.requests)
    assert {request.logprob_ids for request in backend.requests} == {(ord("+"), ord("-"))}
    assert meter.cost == verifier.bound(kit.case(*STEPS), 0)
    assert meter.cost.calls == 3


async def test_only_new_steps_are_scored(kit) -> None:
    backend = kit.Backend()
    case = kit.case(*STEPS)
    rest = Case(case.problem, case.steps, (Judgement(0.9), None), case.seeds[2:])
    assert len(await BoundaryPRM(backend, RLHFLOW).judge(rest, Meter())) == 1
    assert len(backend.requests) == 1


async def test_long_steps_and_missing_probabilities_abstain(kit) -> None:
    verifier = BoundaryPRM(kit.Backend(logprobs=lambda _: ()), RLHFLOW, step_tokens=100)
    for text, why in (("9" * 200, "longer than 100"), ("6", "no probability")):
        (verdict,) = await verifier.judge(kit.case(text), Meter())
        assert verdict.score is None
        assert why in verdict.reason


async def test_a_step_not_yet_written_is_within_the_bound(kit) -> None:
    verifier = BoundaryPRM(kit.Backend(), RLHFLOW, step_tokens=100)
    before, after = kit.case(STEPS[0]), kit.case(STEPS[0], "7" * 90)
    judged = Case(before.problem, before.steps, (Judgement(0.9),))
    bound = verifier.bound(judged, 64)
    meter = Meter()
    rest = Case(after.problem, after.steps, judged.judged, after.seeds[1:])
    (verdict,) = await verifier.judge(rest, meter)
    assert verdict.score is not None
    assert meter.cost.prompt_tokens <= bound.prompt_tokens
    assert (meter.cost.calls, bound.calls) == (1, 1)


async def test_a_dead_engine_is_an_error(kit) -> None:
    backend = kit.Backend()

    async def dead(request, meter):
        raise Unavailable("gone")

    backend.generate = dead
    for verifier in (BoundaryPRM(backend, RLHFLOW), Judge(backend, Judging(every_step=True))):
        with pytest.raises(Unavailable):
            await verifier.judge(kit.case(*STEPS), Meter())


def test_labels_must_differ(kit) -> None:
    with pytest.raises(ConfigError, match="alike"):
        BoundaryPRM(kit.Backend(), LabelledTurns("{problem}{step}", "+", "+"))


class Heads:
    """Scores by position."""

    def __init__(self, kit) -> None:
        backend = kit.Backend()
        self.model, self.tokenizer = backend.model, backend.tokenizer
        self.closed = 0

    async def scores(self, input, meter: Meter) -> list[float]:
        await anyio.lowlevel.checkpoint()
        meter.cost += Cost(len(input.ids), samples=1, calls=1)
        return [1 - index / 10 for index in range(len(input.positions))]

    async def aclose(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("layout", [qwen, skywork])
async def test_a_head_scores_all_steps_in_one_pass(kit, layout) -> None:
    verifier = HeadPRM(Heads(kit), layout)
    case = kit.case(STEPS[0], "", *STEPS[1:])
    meter = Meter()
    verdicts = await verifier.judge(case, meter)
    assert [verdict and verdict.score for verdict in verdicts] == [1.0, None, 0.9, 0.8]
    assert meter.cost == verifier.bound(case, 0)
    rest = Case(case.problem, case.steps, tuple(verdicts[:3]), case.seeds[3:])
    assert [verdict.score for verdict in await verifier.judge(rest, Meter())] == [0.8]


@pytest.mark.parametrize("layout", [qwen, skywork])
@pytest.mark.parametrize("length", [0, 1, 98, 99, 100, 101])
async def test_a_head_keeps_its_bound_for_steps_not_yet_written(kit, layout, length: int) -> None:
    verifier = HeadPRM(Heads(kit), layout, step_tokens=100)
    meter = Meter()
    await verifier.judge(kit.case("7" * length), meter)
    empty = kit.case()
    assert meter.cost.prompt_tokens <= verifier.bound(empty, 64).prompt_tokens
    assert (meter.cost.calls == 1) == (0 < length < 100)


def answer(kit, *texts: str) -> Case:
    case = kit.case(*texts)
    steps = (*case.steps[:-1], Step(texts[-1], finish=Finish.EOS))
    return Case(case.problem, steps, (), case.seeds)


async def test_a_judge_reads_answers_and_is_made_to_decide(kit) -> None:
    def reply(text: str, seed: int) -> str:
        return "It is all right." if seed % 2 else "All right.\nVerdict: Yes"

    backend = kit.Backend(reply, lambda text: (-0.2, -1.8))
    verifier = Judge(backend, Judging(votes=8))
    meter = Meter()
    verdicts = await verifier.judge(answer(kit, *STEPS), meter)
    assert verdicts[:2] == [None, None]
    assert verdicts[2].score == pytest.approx(1 / (1 + math.exp(-1.6)))
    assert len(verdicts[2].votes) == 8
    assert {prompt[-20:].rpartition("\n")[2] for prompt in backend.prompts()[1:]} == {"Verdict: "}
    golden = (GOLDEN / "judge.txt").read_text(encoding="utf-8")
    assert backend.prompts()[0] == golden
    bound = verifier.bound(answer(kit, *STEPS), 0)
    assert meter.cost.calls == bound.calls == 9
    assert meter.cost.prompt_tokens <= bound.prompt_tokens
    assert meter.cost.output_tokens <= bound.output_tokens
    assert verifier.reduction is Reduction.LAST


async def test_a_judge_abstains_where_it_cannot_read_or_will_not_say(kit) -> None:
    mute = Judge(kit.Backend(lambda *_: "Hm.", lambda _: (-9.0, -9.0)), Judging())
    (verdict,) = await mute.judge(answer(kit, "7"), Meter())
    assert (verdict.score, "neither" in verdict.reason) == (None, True)
    short = Judge(kit.Backend(), Judging(solution_tokens=50))
    (verdict,) = await short.judge(answer(kit, "7" * 100), Meter())
    assert (verdict.score, "does not fit" in verdict.reason) == (None, True)


class TestBoundaryPRM(VerifierContract):
    @pytest.fixture(params=["rlhflow", "math-shepherd"])
    def verifier(self, kit, request) -> Verifier:
        spelling = {"rlhflow": RLHFLOW, "math-shepherd": MATH_SHEPHERD}[request.param]
        return BoundaryPRM(kit.Backend(), spelling)


class TestHeadPRM(VerifierContract):
    @pytest.fixture(params=[qwen, partial(skywork, begin="<s>")], ids=["qwen", "skywork"])
    def verifier(self, kit, request) -> Verifier:
        return HeadPRM(Heads(kit), request.param)


class TestJudge(VerifierContract):
    @pytest.fixture
    def verifier(self, kit) -> Verifier:
        return Judge(kit.Backend(), Judging(votes=2, every_step=True))


def test_a_tokenizer_without_the_separator_is_refused() -> None:
    from tts.backends.fake import Characters

    with pytest.raises(ConfigError, match="<extra_0>"):
        qwen(Characters(), PROBLEM, PLAIN)
