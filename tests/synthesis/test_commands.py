"""`tts label`, `tts synthesize`, `tts verify`, `tts refine`."""

import json
import random
import sys
from dataclasses import replace

import pytest

import tts.cli.order
import tts.cli.refine
import tts.registry
from tts.backends.fake import FakeBackend
from tts.cli.verify import runs
from tts.errors import Unavailable
from tts.types import FREE, Judgement, Vote
from tts.verifier import Reduction
from tts_nano.problems import generate, label, solution
from tts_verifiers.synthesis import Passage, Rationale

CRITIQUE = (
    "<analyze>\nLet's analyze the Paragraph 1 step by step: 2 + 2: 4.\n</analyze>\n<verify>\n"
    "Let's use python code to find any potential error:\n```python\nprint(2 + 2 == 5)\n```\n"
    "[Code Output]\n\n```\nFalse\n```\n</verify>\n"
    "<output>\n**Judgement**: $\\boxed{No}$\n</output>\n"
)


class Critic:
    """Calls wrong what has a 5 in it, with code; abstains at a question."""

    model = None
    reduction = Reduction.MIN

    def __init__(self, votes: int = 1, fail: bool = False):
        self.votes = votes
        self.fail = fail
        self.closed = 0

    def bound(self, case, more_tokens):
        return FREE

    async def judge(self, case, meter):
        if self.fail:
            raise Unavailable("the critic is gone")
        return [self._judge(step.text) for step in case.steps[len(case.judged) :]]

    def _judge(self, text):
        if "?" in text:
            return Judgement(None, reason="it is a question")
        score = 0.2 if "5" in text else 0.9
        critique = CRITIQUE if "5" in text else "It is fine."
        return Judgement(score, tuple(Vote(score, critique) for _ in range(self.votes)))

    async def aclose(self):
        self.closed += 1


class EntryPoint:
    """As from an installed distribution."""

    def __init__(self, value):
        self.value = value

    def load(self):
        return self.value


@pytest.fixture(autouse=True)
def plugins(monkeypatch, kit):
    """Verifier `critic`, backend `seven` (3 + 4, mostly right), beside those installed."""
    installed = tts.registry._entry_points
    more = {
        "verifiers": {"critic": EntryPoint(Critic)},
        "backends": {"seven": EntryPoint(lambda location: kit.backend())},
    }

    def entry_points(kind):
        return {**installed(kind), **more.get(kind, {})}

    monkeypatch.setattr(tts.registry, "_entry_points", entry_points)


def test_verify_says_which_step_is_wrong_and_why(command):
    outcome = command(
        "verify", "What is 2 + 2?", "2 + 2 = 5.\n\nSo 6.", "--verifier", "critic", "--json"
    )
    assert outcome.code == 0
    assert outcome.err == ""
    document = outcome.document
    assert document["schema"] == "tts.verify/1"
    assert document["first_wrong"] == 1
    assert document["score"] == 0.2
    first, second = document["steps"]
    assert (first["verdict"], second["verdict"]) == ("wrong", "right")
    assert first["code"] == [{"code": "print(2 + 2 == 5)", "output": "False"}]
    assert first["critique"] == CRITIQUE
    assert second["text"] == "So 6."


def test_verify_shows_people_what_is_said_of_wrong_steps(command):
    case = ("What is 2 + 2?", "2 + 2 = 5.\n\nSo 6.\n\nWhat?", "--verifier", "critic")
    outcome = command("verify", *case, "--set", "votes=3")
    assert "print(2 + 2 == 5)" in outcome.out
    assert "0.20 of 3 votes" in outcome.out
    assert "It is fine." not in outcome.out
    assert "it is a question" in outcome.out
    assert "Step 1 is the first that is wrong." in outcome.out
    assert "It is fine." in command("verify", *case, "--full").out


@pytest.mark.parametrize(
    ("steps", "verdict"), [("a\n\nb", "No step is wrong."), ("a\n\nb?", "but not all are judged")]
)
def test_verify_says_how_sure_it_is_that_nothing_is_wrong(command, steps, verdict):
    assert verdict in command("verify", "p", steps, "--verifier", "critic").out


def test_verify_reads_text_json_files_and_stdin(command, tmp_path):
    case = {"problem": "What is 2 + 2?", "steps": ["2 + 2 = 4.", "So 5."]}
    text = "2 + 2 = 4.\n \nSo 5.\n"
    (tmp_path / "case.json").write_text(json.dumps(case))
    (tmp_path / "solution.txt").write_text(text)
    tail = ("--verifier", "critic", "--json")
    asked = ("verify", "What is 2 + 2?")
    outcomes = [
        command(*asked, text, *tail),
        command(*asked, *tail, stdin=text),
        command(*asked, "-", *tail, stdin=text),
        command(*asked, "--file", tmp_path / "solution.txt", *tail),
        command("verify", "--file", tmp_path / "case.json", *tail),
        command("verify", *tail, stdin=json.dumps(case)),
        command("verify", *tail, stdin=json.dumps({"problem": "What is 2 + 2?", "solution": text})),
    ]
    assert [outcome.err for outcome in outcomes] == [""] * 7
    assert all(outcome.document == outcomes[0].document for outcome in outcomes)
    assert outcomes[0].document["first_wrong"] == 2


@pytest.mark.parametrize(
    ("words", "stdin", "message"),
    [
        (("p", "s", "--file", "x"), "", "give the solution once"),
        (("p",), " ", "the problem is empty"),
        ((), "not json", "not JSON, and no PROBLEM"),
        ((), "[1]", "must be an object"),
        ((), '{"problem": "p", "steps": []}', '"steps" must be'),
        ((), '{"problem": "p", "steps": ["a", 1]}', '"steps" must be'),
        ((), '{"problem": " ", "steps": ["a"]}', "the problem is empty"),
        (("p", "s", "--verifier", "critik"), "", "did you mean 'critic'"),
        (("p", "s", "--set", "vote=3"), "", "unknown knob"),
    ],
)
def test_verify_explains_what_cannot_be_used(command, words, stdin, message):
    outcome = command("verify", "--verifier", "critic", *words, stdin=stdin)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.out == ""


def test_a_dead_verifier_is_exit_code_4(command):
    outcome = command("verify", "p", "s", "--verifier", "critic", "--set", "fail=true")
    assert (outcome.code, outcome.err) == (4, "error: the critic is gone\n")


def test_runs_are_found_in_a_critique_with_several():
    several = "```python\na\n```\nnot run\n```python\nb\n\nb\n```\n[Code Output]\n\n```\n\n```\n"
    assert runs(several + CRITIQUE) == [
        {"code": "b\n\nb", "output": ""},
        {"code": "print(2 + 2 == 5)", "output": "False"},
    ]


def test_refine_resumes_a_model_that_takes_no_instructions(command, monkeypatch):
    given = iter(["a\n\nb 5\n\n\\boxed{5}", "c\n\n\\boxed{4}"])
    backend = FakeBackend(lambda text, seed: next(given))
    monkeypatch.setattr(tts.registry, "open_backend", lambda spec: backend)
    outcome = command("refine", "What is 2 + 2?", "--verifier", "critic", "--json")
    document = outcome.document
    assert (outcome.code, document["mode"], document["answer"]) == (0, "resume", "4")
    assert [turn["first_wrong"] for turn in document["turns"]] == [2, None]
    assert [step["text"] for step in document["turns"][1]["steps"]] == ["a", "c", "\\boxed{4}"]
    assert document["turns"][0]["steps"][1]["code"]
    assert backend._closed


class Told(FakeBackend):
    """A model that takes instructions."""

    @property
    def model(self):
        model = super().model
        return replace(model, dialect=replace(model.dialect, user="Solve this: {problem}"))


def test_refine_rewrites_where_it_is_told_to(command, monkeypatch):
    prompts = []
    given = iter(["b 5", "\\boxed{4}"])
    backend = Told(
        lambda text, seed: next(given),
        fault=lambda request: prompts.append(backend.tokenizer.decode(request.prompt)),
    )
    monkeypatch.setattr(tts.registry, "open_backend", lambda spec: backend)
    outcome = command("refine", "Sum?", "--verifier", "critic", "--mode", "rewrite")
    assert "rethink and refine your answer:\n>b 5\n\n2 + 2: 4.\n-> " in prompts[1]
    assert "First solution" in outcome.out
    assert "Refinement 1" in outcome.out
    assert outcome.out.rstrip().endswith("Answer:  4")


def test_refine_refuses_to_have_a_model_rewrite_that_takes_no_instructions(command, monkeypatch):
    backend = FakeBackend()
    monkeypatch.setattr(tts.registry, "open_backend", lambda spec: backend)
    outcome = command("refine", "Sum?", "--verifier", "critic", "--mode", "rewrite")
    assert (outcome.code, outcome.out) == (2, "")
    assert "'rewrite' shows the policy a critique, and this one is told problems" in outcome.err
    assert backend.served == 0
    assert backend._closed


def test_refine_without_an_answer_is_exit_code_3(command, monkeypatch):
    backend = FakeBackend(lambda text, seed: "5, I think")
    monkeypatch.setattr(tts.registry, "open_backend", lambda spec: backend)
    outcome = command("refine", "Sum?", "--verifier", "critic", "--turns", "1")
    assert outcome.code == 3
    assert "No answer." in outcome.out


@pytest.mark.parametrize(("budget", "code", "answer"), [("5", 3, None), ("40", 0, "5")])
def test_refine_within_a_budget_gives_the_last_answer_until_then(
    command, monkeypatch, budget, code, answer
):
    given = iter(["b 5\n\n\\boxed{5}", "c " * 50 + "\n\n\\boxed{4}"])
    backend = Told(lambda text, seed: next(given))
    monkeypatch.setattr(tts.registry, "open_backend", lambda spec: backend)
    words = ("refine", "Sum?", "--verifier", "critic", "--mode", "rewrite", "--budget", budget)
    outcome = command(*words, "--json")
    assert (outcome.code, outcome.document["answer"]) == (code, answer)
    assert outcome.document["stop_reason"] == "budget"


def test_refine_grades_an_example(command, monkeypatch):
    answer = generate("reduction", 1, 0, "dev").answer
    backend = FakeBackend(lambda text, seed: f"\\boxed{{{answer}}}")
    monkeypatch.setattr(tts.registry, "open_backend", lambda spec: backend)
    outcome = command("refine", "--example", "reduction-1", "--verifier", "critic", "--json")
    assert outcome.document["correct"] is True
    assert outcome.document["expected"] == answer


LABEL = ("--policy", "seven", "--factor", "0.5", "--seed", "3")


def test_label_writes_rows_and_says_what_became_of_them(command, write_rows, kit, tmp_path):
    file = write_rows("s.jsonl", [kit.row("ok", kit.right), kit.row("dead", kit.wrong)])
    out = tmp_path / "out.jsonl"
    outcome = command("label", file, "--out", out, *LABEL, "--json")
    assert outcome.code == 0, outcome.err
    document = outcome.document
    assert document["schema"] == "tts.label/1"
    assert (document["solutions"], document["labelled"], document["all_right"]) == (2, 2, 1)
    assert document["rule"] == "ratio >= 0.8"
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["labels"] for row in rows] == [[True, True], [False, False]]
    again = command("label", file, "--out", out, *LABEL, "--rule", "hard")
    assert "resumed: 2" in again.out
    assert "rule: rate > 0" in again.out
    other = command("label", file, "--out", out, "--policy", "seven", "--factor", "0.25")
    assert other.code == 2
    assert "factor was 0.5, is 0.25; seed was 3, is 0" in other.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--rule", "soft"), "unknown rule 'soft'"),
        (("--threshold", "2"), "threshold=2.0"),
        (("--policy", "sevn"), "did you mean 'seven'"),
        (("--factor", "0"), "factor=0.0"),
    ],
)
def test_label_explains_what_cannot_be_used(command, write_rows, kit, tmp_path, words, message):
    file = write_rows("s.jsonl", [kit.row("ok")])
    outcome = command("label", file, "--out", tmp_path / "o", "--policy", "seven", *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert not (tmp_path / "o").exists()


def test_label_names_a_file_that_is_not_there(command, tmp_path):
    outcome = command("label", tmp_path / "none", "--out", tmp_path / "o")
    assert (outcome.code, "No such file" in outcome.err) == (2, True)


async def teach(problem, steps, seed):
    """The exact labels of nano problems, as a teacher; mumbles about the third problem."""
    if problem.id.endswith("2"):
        return Rationale(refused="it mumbles")
    posed = next(each for each in PROBLEMS if each.id == problem.id)
    return Rationale(
        tuple(Passage(f"{right}", right) for right in label(posed, steps)),
    )


PROBLEMS = [generate("reduction", 2, seed, "train") for seed in range(3)]


def test_synthesize_feeds_on_what_label_writes(command, write_rows, tmp_path, monkeypatch):
    rows = []
    for number, problem in enumerate(PROBLEMS):
        steps = solution(problem, random.Random(0))
        truth = [True] * len(steps)
        if number == 1:  # labels that no teacher would give
            truth[0] = False
        rows.append(
            {"problem": problem.prompt, "problem_id": problem.id, "answer": problem.answer,
             "steps": steps, "labels": truth, "pass_rate": [16, 32], "rule": "exact"}
        )  # fmt: skip
    file, out = write_rows("l.jsonl", rows), tmp_path / "train.jsonl"
    monkeypatch.setitem(sys.modules, "templates_for_a_test", MODULE)
    words = ("--teacher-function", "templates_for_a_test:teach", "--profile", "nano")
    outcome = command("synthesize", file, "--out", out, *words, "--json")
    assert outcome.code == 0, outcome.err
    fates = outcome.document["fates"]
    assert sum(fates.values()) == 3
    assert (fates["kept"], fates["labels_stricter"], fates["refused"]) == (1, 1, 1)
    assert outcome.document["refusals"] == {"it mumbles": 1}
    (row,) = [json.loads(line) for line in out.read_text().splitlines()]
    roles = [message["role"] for message in row["conversations"]]
    assert roles == ["user", "assistant"] * (len(roles) // 2)
    again = command("synthesize", file, "--out", out, *words)
    assert "labels stricter: 1" in again.out
    assert "resumed: 3" in again.out


def test_a_teacher_may_stand_in_the_current_folder(command, write_rows, tmp_path, monkeypatch):
    text = "async def judge(problem, steps, seed):\n    raise SystemError('I was found')\n"
    (tmp_path / "teacher_of_this_test.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    row = {"problem": "?", "answer": "7", "steps": ["a"], "labels": [True], "rule": "exact"}
    file = write_rows("l.jsonl", [{**row, "problem_id": "p", "pass_rate": [1, 1]}])
    words = ("--teacher-function", "teacher_of_this_test:judge", "--out", "o.jsonl")
    assert "I was found" in command("synthesize", file, *words).err


class MODULE:
    teach = staticmethod(teach)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name one teacher"),
        (("--teacher", "seven", "--teacher-function", "a:b"), "name one teacher"),
        (("--teacher-function", "no_such_module:x"), "cannot be imported"),
        (("--teacher-function", "json:no_such_name"), "cannot be imported"),
        (("--teacher", "seven", "--profile", "cart"), "did you mean 'card'"),
    ],
)
def test_synthesize_explains_what_cannot_be_used(
    command, write_rows, kit, tmp_path, words, message
):
    file = write_rows("l.jsonl", [kit.row("a", labels=[True])])
    outcome = command("synthesize", file, "--out", tmp_path / "o", *words)
    assert outcome.code == 2
    assert message in outcome.err


@pytest.mark.parametrize("name", ["label", "synthesize", "verify", "refine"])
def test_each_command_has_help_with_examples(command, name):
    outcome = command(name, "--help")
    assert outcome.code == 0
    assert "Examples" in outcome.out
    assert f"tts {name}" in outcome.out
