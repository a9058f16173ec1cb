"""One vote, whatever the model writes, ends within its tokens in a verdict or an abstention."""

import math

import pytest

from tts.budget.meter import Meter
from tts.errors import ConfigError, Unavailable
from tts.sandbox.outcome import Outcome, Status
from tts.types import FREE
from tts_verifiers.genprm import PROFILES, Effort, GenPRM, Mode
from tts_verifiers.genprm.score import verdict

pytestmark = pytest.mark.anyio

ANALYSIS = "it is right.\n</analyze>\n"
VERDICT = "So be it.\n</verify>\n<output>\n"


async def judged(kit, backend, effort=Effort(), case=None, runner=None):  # noqa: B008
    meter = Meter()
    verifier = GenPRM(backend, PROFILES["card"], effort, runner=runner or kit.Runner())
    case = case or kit.case("2 * 3 = 6")
    verdicts = await verifier.judge(case, meter)
    bound = verifier.bound(case, 0)
    for field in ("prompt_tokens", "output_tokens", "samples", "calls", "code_seconds"):
        assert getattr(meter.cost, field) <= getattr(bound, field), field
    return verdicts, meter.cost


def turn_of(backend) -> str:
    prompt = backend.prompts()[-1]
    return prompt[prompt.rfind("<analyze>") :]


def test_the_score_is_yes_among_yes_and_no() -> None:
    assert verdict(math.log(0.6), math.log(0.2)).score == pytest.approx(0.75)
    assert verdict(-0.1, -9.0).score == pytest.approx(
        math.exp(-0.1) / (math.exp(-0.1) + math.exp(-9.0))
    )
    assert verdict(-0.01, -math.inf).score == 1.0


@pytest.mark.parametrize("pair", [(-9.0, -9.5), (-math.inf, -math.inf), (math.nan, -1.0)])
def test_no_verdict_is_made_of_nothing(pair: tuple[float, float]) -> None:
    found = verdict(*pair)
    assert found.score is None
    assert found.reason


async def test_an_unlikely_verdict_abstains_with_the_reason(kit) -> None:
    backend = kit.Backend(lambda *_: ANALYSIS, lambda _: (-8.0, -9.0))
    (judgement,), _ = await judged(kit, backend)
    assert judgement.score is None
    assert "neither Yes nor No" in judgement.reason
    assert judgement.votes[0].critique  # shown, but nothing goes on from it
    assert judgement.votes[0].token_ids == ()


async def test_an_engine_without_probabilities_abstains(kit) -> None:
    (judgement,), _ = await judged(kit, kit.Backend(lambda *_: ANALYSIS, lambda _: ()))
    assert (judgement.score, "no probability" in judgement.reason) == (None, True)


async def test_the_verdict_costs_one_token_and_only_it_asks_for_probabilities(kit) -> None:
    backend = kit.Backend(lambda *_: ANALYSIS)
    (judgement,), cost = await judged(kit, backend)
    analysis, decision = backend.requests
    assert analysis.logprob_ids == ()
    assert decision.max_tokens == 1
    yes, no = map(backend.tokenizer.encode, ("Yes", "No"))
    assert decision.logprob_ids == yes + no
    assert judgement.cost == cost
    assert judgement.score == pytest.approx(0.9)


@pytest.mark.parametrize("mode", ["cot", "unexecuted", "code", "adaptive"])
async def test_a_model_that_never_closes_its_tags_is_bounded_and_answers(kit, mode: str) -> None:
    backend = kit.Backend(lambda *_: "and so on, " * 10_000, lambda _: (-1.0, -1.0))
    effort = Effort(Mode(mode), tokens=300)
    (judgement,), cost = await judged(kit, backend, effort)
    assert judgement.score == 0.5
    assert cost.output_tokens <= 303
    assert turn_of(backend).endswith("</analyze>\n<output>\n**Judgement**: $\\boxed{")


async def test_code_without_end_is_discarded_and_a_verdict_is_forced(kit) -> None:
    def reply(text: str, seed: int) -> str:
        return "x = 1\n" * 10_000 if text.endswith("```python\n") else ANALYSIS

    backend = kit.Backend(reply)
    runner = kit.Runner()
    (judgement,), _ = await judged(kit, backend, Effort(Mode.CODE, tokens=500), runner=runner)
    assert runner.asked == []
    assert "<verify>" not in judgement.votes[0].critique
    assert turn_of(backend).endswith("right.\n</analyze>\n<output>\n**Judgement**: $\\boxed{")


async def test_rounds_are_bounded_and_the_last_code_is_not_run_for_nobody(kit) -> None:
    def reply(text: str, seed: int) -> str:
        if "</analyze>" not in text:
            return ANALYSIS
        return "1\n```\n" if text.endswith("```python\n") else "```python\n2\n```\n"

    backend, runner = kit.Backend(reply), kit.Runner()
    (judgement,), _ = await judged(kit, backend, Effort(Mode.CODE, rounds=3), runner=runner)
    assert [code for code, _ in runner.asked] == ["1", "2"]
    assert len(backend.requests) == 5
    assert "```" not in judgement.votes[0].critique


async def test_a_model_that_ends_after_its_code_gets_its_output(kit) -> None:
    def reply(text: str, seed: int) -> str:
        if "</analyze>" not in text:
            return ANALYSIS
        return "print(1)\n```" if text.endswith("```python\n") else VERDICT

    backend, runner = kit.Backend(reply), kit.Runner()
    (judgement,), _ = await judged(kit, backend, Effort(Mode.CODE), runner=runner)
    assert [code for code, _ in runner.asked] == ["print(1)"]
    assert "print(1)\n```\n[Code Output]\n\n```\nTrue\n```\n" in judgement.votes[0].critique


async def test_a_fence_around_something_else_runs_the_last_code_again(kit) -> None:
    def reply(text: str, seed: int) -> str:
        if "</analyze>" not in text:
            return ANALYSIS
        if text.endswith("```python\n"):
            return "a = 1\n```\n"
        return VERDICT if "2 + 2" in text else "```\n2 + 2\n```\n"

    runner = kit.Runner()
    (judgement,), _ = await judged(kit, kit.Backend(reply), Effort(Mode.CODE), runner=runner)
    assert runner.asked == [("a = 1", ()), ("a = 1", ("a = 1",))]
    output = "[Code Output]\n\n```\nTrue\n```\n"
    assert f"```\n2 + 2\n```\n{output}" in judgement.votes[0].critique


async def test_a_model_that_goes_for_its_verdict_at_once_gets_no_code(kit) -> None:
    runner = kit.Runner()
    backend = kit.Backend(lambda *_: "it is wrong.\n<output>\n**Judgement**: $\\boxed{No}$")
    (judgement,), cost = await judged(kit, backend, Effort(Mode.CODE), runner=runner)
    assert (cost.calls, runner.asked) == (2, [])
    assert judgement.votes[0].critique.count("<output>") == 1


async def test_a_model_that_says_nothing_is_asked_for_its_verdict(kit) -> None:
    (judgement,), _ = await judged(kit, kit.Backend(), Effort(Mode.CODE))
    assert judgement.score == pytest.approx(0.9)
    assert judgement.votes[0].critique.count("</analyze>") == 1


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Outcome(Status.TIMEOUT), "Code execute time out: Code execution timed out"),
        (Outcome(Status.ERROR, error="ValueError: no"), "Code execute Error: ValueError: no"),
        (Outcome(Status.KILLED, error="killed by SIGSEGV"), "killed by SIGSEGV"),
        (Outcome(Status.OK, "9" * 200_000), "\n... (output truncated)"),
        (Outcome(Status.ERROR, error="E: " + "9" * 200_000), "Code execute Error: E: 999"),
    ],
    ids=["timeout", "error", "killed", "flood", "long error"],
)
async def test_whatever_code_does_is_told_and_judged(kit, outcome: Outcome, said: str) -> None:
    def reply(text: str, seed: int) -> str:
        if "</analyze>" not in text:
            return ANALYSIS
        return "x\n```\n" if text.endswith("```python\n") else VERDICT

    runner = kit.Runner(lambda code: outcome)
    effort = Effort(Mode.CODE, output_characters=100)
    (judgement,), _ = await judged(kit, kit.Backend(reply), effort, runner=runner)
    assert judgement.score is not None
    assert said in judgement.votes[0].critique
    assert len(judgement.votes[0].critique) < 600


async def test_a_crashed_sandbox_leaves_the_analysis(kit) -> None:
    def reply(text: str, seed: int) -> str:
        return "x\n```\n" if text.endswith("```python\n") else ANALYSIS

    runner = kit.Runner(lambda code: Outcome(Status.CRASHED))
    (judgement,), _ = await judged(kit, kit.Backend(reply), Effort(Mode.CODE), runner=runner)
    assert judgement.score is not None
    assert "<verify>" not in judgement.votes[0].critique


async def test_a_sure_verdict_needs_no_analysis_and_a_sure_analysis_no_code(kit) -> None:
    direct = kit.Backend(lambda *_: ANALYSIS, lambda _: (-0.02, -4.0))
    (judgement,), cost = await judged(kit, direct, Effort(Mode.ADAPTIVE, votes=4))
    assert (cost.calls, cost.output_tokens, len(judgement.votes)) == (1, 1, 1)

    def unsure_without_analysis(text: str) -> tuple[float, float]:
        return (-0.02, -4.0) if "<analyze>" in text else (-0.7, -0.7)

    analysed = kit.Backend(lambda *_: ANALYSIS, unsure_without_analysis)
    runner = kit.Runner()
    (judgement,), cost = await judged(kit, analysed, Effort(Mode.ADAPTIVE), runner=runner)
    assert (cost.calls, runner.asked) == (3, [])
    assert "<analyze>" in judgement.votes[0].critique


async def test_code_goes_on_from_the_analysis_that_was_not_sure(kit) -> None:
    def reply(text: str, seed: int) -> str:
        if "</analyze>" not in text:
            return ANALYSIS
        return "x\n```\n" if text.endswith("```python\n") else VERDICT

    backend = kit.Backend(reply, lambda text: (-0.01, -5.0) if "Code Output" in text else (-1, -1))
    (judgement,), cost = await judged(kit, backend, Effort(Mode.ADAPTIVE))
    assert cost.calls == 6  # two verdicts in vain, one analysis, two rounds, the verdict
    assert judgement.score > 0.9
    assert sum("<analyze>" in p and "</analyze>" not in p for p in backend.prompts()) == 1


async def test_a_step_too_long_to_be_read_abstains_and_is_shown_shortened(kit) -> None:
    backend = kit.Backend(lambda *_: ANALYSIS)
    case = kit.case("2 * 3 = 6", "9" * 200_000, "so 7")
    verdicts, _ = await judged(kit, backend, Effort(step_tokens=128), case)
    assert [verdict.score is None for verdict in verdicts] == [False, True, False]
    assert "longer than 128 tokens" in verdicts[1].reason
    assert verdicts[1].cost == FREE
    assert len(backend.prompts()[-1]) < 1500
    assert "characters left out" in backend.prompts()[-1]


async def test_a_problem_that_fills_the_context_abstains(kit) -> None:
    backend = kit.Backend(lambda *_: ANALYSIS, context_tokens=400)
    case = kit.case("6", prompt="9" * 1000)
    for mode in Mode:
        (judgement,), cost = await judged(kit, backend, Effort(mode), case)
        assert judgement.score is None
        assert judgement.reason
        assert cost == FREE


async def test_a_conversation_that_outgrows_the_context_abstains_from_there_on(kit) -> None:
    backend = kit.Backend(lambda *_: ANALYSIS, context_tokens=1200)
    verdicts, _ = await judged(kit, backend, case=kit.case(*["2 * 3 = 6"] * 10))
    abstained = [verdict.score is None for verdict in verdicts]
    assert abstained == sorted(abstained)
    assert 0 < sum(abstained) < 10


async def test_an_empty_step_has_no_verdict_and_no_number(kit) -> None:
    backend = kit.Backend(lambda *_: ANALYSIS)
    case = kit.case("2 * 3 = 6\n\n", "\n\n", "so 7\n\n", "")
    verdicts, _ = await judged(kit, backend, case=case)
    assert [verdict is None for verdict in verdicts] == [False, True, False, True]
    assert "Paragraph 2 " in backend.prompts()[-1]
    assert "Paragraph 3 " not in backend.prompts()[-1]


async def test_no_steps_cost_nothing(kit) -> None:
    verdicts, cost = await judged(kit, kit.Backend(), case=kit.case())
    assert (list(verdicts), cost) == ([], FREE)


async def test_a_dead_engine_is_an_error_and_not_a_verdict(kit) -> None:
    backend = kit.Backend()

    async def dead(request, meter):
        raise Unavailable("gone")

    backend.generate = dead
    verifier = GenPRM(backend, PROFILES["card"])
    with pytest.raises(Unavailable):
        await verifier.judge(kit.case("6"), Meter())


def test_executing_code_needs_a_runner(kit) -> None:
    with pytest.raises(ConfigError, match="code runner"):
        GenPRM(kit.Backend(), PROFILES["card"], Effort(Mode.CODE))


@pytest.mark.parametrize("knob", ["votes", "tokens", "rounds", "step_tokens", "output_characters"])
def test_knobs_have_a_range(knob: str) -> None:
    with pytest.raises(ConfigError, match=knob):
        Effort(**{knob: 0})


async def test_closing_closes_engine_and_runner(kit) -> None:
    backend, runner = kit.Backend(), kit.Runner()
    async with GenPRM(backend, PROFILES["card"], runner=runner):
        pass
    assert (backend.closed, runner.closed) == (1, 1)


async def test_without_an_analysis_the_last_code_is_run_and_read(kit) -> None:
    def reply(text: str, seed: int) -> str:
        begun = text.endswith("```python\n")
        return "print(1)\n```\n" if begun else "Again:\n```python\nprint(2)\n```\n"

    backend, runner = kit.Backend(reply), kit.Runner()
    (judgement,), _ = await judged(kit, backend, Effort(Mode.CODE_ONLY, rounds=2), runner=runner)
    assert [code for code, _ in runner.asked] == ["print(1)", "print(2)"]
    critique = judgement.votes[0].critique
    assert critique.startswith("<verify>\nLet's use python code")
    assert critique.count("[Code Output]\n\n```\nTrue\n```\n") == 2
    assert critique.endswith("```\n</verify>\n<output>\n**Judgement**: $\\boxed{Yes}$\n</output>\n")


async def test_without_an_analysis_output_that_leaves_no_room_is_left_out(kit) -> None:
    runner = kit.Runner(lambda code: Outcome(Status.OK, "9" * 1000))
    backend = kit.Backend(lambda *_: "print(1)\n```\n")
    (judgement,), _ = await judged(kit, backend, Effort(Mode.CODE_ONLY, tokens=200), runner=runner)
    assert "[Code Output]" not in judgement.votes[0].critique
    assert judgement.score is not None
