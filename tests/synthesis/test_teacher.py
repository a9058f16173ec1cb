"""The language-model teacher, against a script."""

import pytest

from tts.backends.fake import Characters, FakeBackend
from tts.budget.meter import Meter
from tts.errors import Overlong
from tts.sandbox.outcome import Outcome, Status
from tts.types import Problem
from tts_verifiers.synthesis.rationale import FunctionTeacher, Passage, Rationale
from tts_verifiers.synthesis.reasoner import CONCLUSION, OPENING, ReasoningTeacher, passages

pytestmark = pytest.mark.anyio

STEPS = ["Step 1: 3 + 4 = 7.", "7 * 2 = 15.", "So 15."]


class Runner:
    """Prints what the code's comparison comes to."""

    limit_seconds = 5.0

    def __init__(self, status=Status.OK):
        self.asked = []
        self.status = status

    async def run(self, code, prelude):
        self.asked.append((code, tuple(prelude)))
        printed = str(eval(code.removeprefix("print(").removesuffix(")")))
        return Outcome(self.status, printed + "\n", cpu_seconds=0.5)

    async def aclose(self):
        pass


def thinking(text, seed, index="2", end="</think>\nDone."):
    """Criticises two paragraphs, with code."""
    if text.endswith(CONCLUSION):
        return f"{{{index}}} surely"
    if "[Code Output]" not in text:
        return (
            "Three and four.\n</analyze>\n<verify>\nLet me see.\n"
            "```python\nprint(3 + 4 == 7)\n```\nnever reached"
        )
    if "### Paragraph 2" not in text:
        return (
            "It holds.\n</verify>\n\n### Paragraph 2\n<analyze>\nTwice seven.\n</analyze>\n"
            "<verify>\n```python\nprint(7 * 2 == 15)\n```\nnever reached"
        )
    return f"It does not.\n</verify>\n\nI am done.{end}"


async def judge(script, runner=None, **knobs):
    meter = Meter()
    teacher = ReasoningTeacher(FakeBackend(script), runner or Runner(), **knobs)
    rationale = await teacher.judge(Problem("p", "Compute."), STEPS, seed=3, meter=meter)
    return rationale, meter


async def test_code_is_run_while_it_writes_and_turns_are_cut_out():
    runner = Runner()
    rationale, meter = await judge(thinking, runner)
    assert rationale.refused == ""
    assert rationale.first_wrong == 1
    first, second = rationale.passages
    assert first == Passage(
        "<analyze>\nLet's analyze the Paragraph 1 step by step: Three and four.\n</analyze>\n"
        "<verify>\nLet's use python code to find any potential error:\n```python\n"
        "print(3 + 4 == 7)\n```\n[Code Output]\n\n```\nTrue\n```\nIt holds.\n</verify>\n"
        "<output>\n**Judgement**: $\\boxed{Yes}$\n</output>\n",
        True,
    )
    assert "[Code Output]\n\n```\nFalse\n```\nIt does not.\n</verify>\n" in second.text
    assert second.text.endswith("**Judgement**: $\\boxed{No}$\n</output>\n")
    assert not second.right
    assert runner.asked == [
        ("print(3 + 4 == 7)", ()),
        ("print(7 * 2 == 15)", ("print(3 + 4 == 7)",)),
    ]
    assert meter.cost.code_seconds == 1.0
    assert meter.cost.calls == 3 + 4


async def test_the_prompt_is_the_one_of_the_paper():
    prompts = []

    def spy(request):
        prompts.append(Characters().decode(request.prompt))

    teacher = ReasoningTeacher(FakeBackend(thinking, fault=spy), Runner())
    await teacher.judge(Problem("p", "Compute."), STEPS, seed=3, meter=Meter())
    assert prompts[0].startswith(
        "system: You are a math teacher. Your task is to review and critique the paragraphs in "
        "solution step by step with python code.\nuser: The following is the math problem and a "
        "solution (split into paragraphs, enclosed with tags and indexed from 1):\n"
        "[Math Problem]\n\nCompute.\n\n[Solution]\n\n<paragraph_1>\n3 + 4 = 7.\n</paragraph_1>\n\n"
        "<paragraph_2>\n7 * 2 = 15.\n</paragraph_2>\n\n"
    )
    assert "by `### Paragraph {ID}`. \n" in prompts[0]
    assert "form of `$\\boxed{INDEX}$`.\n-> " in prompts[0]
    assert prompts[0].endswith(OPENING)
    assert prompts[-1].endswith("It does not.\n</verify>" + CONCLUSION)


async def test_a_template_that_opens_the_thought_is_not_repeated():
    class Thinking(Characters):
        def chat(self, messages):
            return super().chat(messages) + self.encode("<think>\n")

    class Backend(FakeBackend):
        tokenizer = Thinking()

    prompts = []
    backend = Backend(
        lambda text, seed: thinking(text, seed),
        fault=lambda request: prompts.append(Characters().decode(request.prompt)),
    )
    rationale = await ReasoningTeacher(backend, Runner()).judge(
        Problem("p", "Compute."), STEPS, seed=3, meter=Meter()
    )
    assert len(rationale.passages) == 2
    assert all(prompt.count("<think>\n") == 1 for prompt in prompts)


async def test_no_wrong_paragraph_asks_for_a_critique_of_all():
    rationale, _ = await judge(lambda text, seed: thinking(text, seed, "-1"))
    assert rationale == Rationale(refused="it does not analyze paragraph 3")


async def test_a_thought_that_ends_without_its_tag_is_whole():
    rationale, _ = await judge(lambda text, seed: thinking(text, seed, end=""))
    assert len(rationale.passages) == 2


@pytest.mark.parametrize(
    ("script", "knobs", "why"),
    [
        (lambda text, seed: thinking(text, seed, str(seed % 5)), {}, "not sure"),
        (lambda text, seed: thinking(text, seed, "9"), {}, "not sure"),
        (lambda text, seed: thinking(text, seed, "0"), {}, "not sure"),
        (lambda text, seed: "and so on" * 1000, {"tokens": 500}, "cut at its longest"),
        (lambda text, seed: "nothing</think>", {}, "verifies nothing"),
        (lambda text, seed: "x\n```python\nprint(1)\n```\n", {"rounds": 3}, "more than 3 blocks"),
    ],
)
async def test_what_cannot_be_used_is_refused_with_a_reason(script, knobs, why):
    rationale, _ = await judge(script, **knobs)
    assert why in rationale.refused
    assert rationale.passages == ()


async def test_a_solution_that_does_not_fit_the_window_is_no_critique_that_was_cut():
    teacher = ReasoningTeacher(FakeBackend(thinking, context_tokens=200), Runner())
    with pytest.raises(Overlong, match="of a context window of 200"):
        await teacher.judge(Problem("p", "Compute."), STEPS, seed=3, meter=Meter())


async def test_a_crashed_sandbox_is_no_evidence():
    rationale, _ = await judge(thinking, Runner(Status.CRASHED))
    assert "sandbox" in rationale.refused


def test_a_paragraph_without_executed_code_is_refused():
    text = "### Paragraph 1\n<analyze>\nFine.\n</analyze>\n<verify>\nObvious.\n</verify>"
    assert passages(text, 1, None).refused == "it runs no code on paragraph 1"


def test_only_the_first_critique_of_a_paragraph_counts():
    one = (
        "### Paragraph 1: sums\n<analyze>\n{said}\n</analyze>\n<verify>\n```python\nprint(1)\n```\n"
        "[Code Output]\n\n```\n1\n```\n</verify>\n"
    )
    found = passages(one.format(said="First.") + one.format(said="Again."), 1, None)
    assert "First." in found.passages[0].text
    assert "Again." not in found.passages[0].text


async def test_a_function_can_teach_and_never_sees_the_answer():
    async def write(problem, steps, seed):
        assert problem.answer is None
        return Rationale(tuple(Passage(f"{step}: fine", True) for step in steps))

    teacher = FunctionTeacher(write)
    assert teacher.name.endswith("write")
    found = await teacher.judge(Problem("p", "q", "7"), ["a", "b"], seed=1, meter=Meter())
    assert [passage.text for passage in found.passages] == ["a: fine", "b: fine"]
