"""What is kept, what is dropped, and the rows."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.errors import ConfigError, Overlong, Unavailable
from tts_verifiers.genprm.profiles import NANO
from tts_verifiers.synthesis import (
    Fate,
    FunctionTeacher,
    Journal,
    Passage,
    Rationale,
    conversation,
    read_labelled,
    synthesize,
)
from tts_verifiers.synthesis.consensus import Decision, decide
from tts_verifiers.synthesis.wording import turn


def said(*rights: bool) -> Rationale:
    return Rationale(tuple(Passage(str(right), right) for right in rights))


@pytest.mark.parametrize(
    ("labels", "rationale", "expected"),
    [
        ((True, True), said(True, True), Decision(Fate.KEPT)),
        ((True, False), said(True, False), Decision(Fate.KEPT)),
        ((True, False, True), said(True, False), Decision(Fate.KEPT)),
        ((True, False, False), said(True, False, False), Decision(Fate.KEPT)),
        ((True, False, True), said(True, False, False), Decision(Fate.TEACHER_STRICTER, "step 3")),
        ((True, True), said(True, False), Decision(Fate.TEACHER_STRICTER, "step 2")),
        ((False, True), said(True, False), Decision(Fate.LABELS_STRICTER, "step 1")),
        ((True, True), said(True), Decision(Fate.REFUSED, "it speaks of 1 of 2 steps")),
        ((True,), said(True, True), Decision(Fate.REFUSED, "it speaks of 2 of 1 steps")),
        ((True,), said(), Decision(Fate.REFUSED, "it speaks of 0 of 1 steps")),
        ((True,), Rationale(refused="cut"), Decision(Fate.REFUSED, "cut")),
    ],
)
def test_fates_checked_by_hand(labels, rationale, expected):
    assert decide(labels, rationale) == expected


@given(st.lists(st.booleans(), min_size=1), st.lists(st.booleans(), min_size=1))
def test_what_is_kept_agrees_wherever_the_teacher_speaks(labels, rights):
    decision = decide(labels, said(*rights))
    if decision.fate is Fate.KEPT:
        assert labels[: len(rights)] == rights
        assert len(rights) == len(labels) or rights.index(False) == len(rights) - 1


def test_a_row_is_in_the_released_format_byte_for_byte():
    one = turn(1, "Sum.", "print(1)\n```\n[Code Output]\n\n```\n1\n```", right=True)
    messages = conversation("What is 3 + 4?", ["3 + 4 = 7.\n\n", "So 8."], [one, "No"])
    assert messages == [
        {
            "role": "system",
            "content": "You are a math teacher. Your task is to review and critique the paragraphs "
            "in solution step by step.",
        },
        {"role": "user", "content": "Question: What is 3 + 4?\n\n3 + 4 = 7."},
        {
            "role": "assistant",
            "content": "<analyze>\nLet's analyze the Paragraph 1 step by step: Sum.\n</analyze>\n"
            "<verify>\nLet's use python code to find any potential error:\n```python\nprint(1)\n"
            "```\n[Code Output]\n\n```\n1\n```\n</verify>\n"
            "<output>\n**Judgement**: $\\boxed{Yes}$\n</output>\n",
        },
        {"role": "user", "content": "So 8."},
        {"role": "assistant", "content": "No"},
    ]


def test_the_nano_profile_has_no_system_turn():
    messages = conversation("P", ["a"], ["b"], NANO)
    assert messages[0] == {"role": "user", "content": "P\n\na"}


@pytest.fixture
def labelled(kit):
    rows = [
        kit.row("good", "end", labels=[True, True], pass_rate=[9, 10]),
        kit.row("good", "bad", "more", labels=[True, False, False]),
        kit.row("good", "end", labels=[True, False]),
        kit.row("bad", "end", labels=[True, True]),
        kit.row("good", labels=[False], pass_rate=[0, 128]),
        kit.row("mumble", labels=[True]),
        kit.row("endless", labels=[True]),
    ]
    return read_labelled(map(json.dumps, rows))


class Counting:
    """A teacher for which `bad` is wrong."""

    name = "counting"

    def __init__(self, most=100):
        self.judged = 0
        self.most = most

    async def judge(self, problem, steps, *, seed, meter):
        if self.judged >= self.most:
            raise Unavailable("gone")
        self.judged += 1
        if "mumble" in steps:
            return Rationale(refused="it mumbles")
        if "endless" in steps:
            raise Overlong("too long")
        rights = [step != "bad" for step in steps]
        end = rights.index(False) + 1 if False in rights else len(rights)
        return Rationale(
            tuple(Passage(f"about {s}", r) for s, r in zip(steps[:end], rights[:end], strict=True))
        )

    async def aclose(self):
        pass


@pytest.mark.anyio
async def test_counts_say_what_was_kept_and_why_the_rest_was_not(labelled, tmp_path):
    teacher = Counting()
    with Journal(tmp_path / "journal", {}) as journal:
        rows, summary = await synthesize(labelled, teacher, journal)
    assert summary.fates == {
        "kept": 2, "unsolved": 1, "too_long": 1, "refused": 1, "labels_stricter": 1,
        "teacher_stricter": 1,
    }  # fmt: skip
    assert sum(summary.fates.values()) == summary.solutions == len(labelled)
    assert summary.refusals == {"it mumbles": 1}
    assert (summary.turns, summary.wrong_turns) == (4, 1)
    assert len(rows) == 2
    assert teacher.judged == 6  # the unsolved one is not asked about
    assert [message["content"] for message in rows[1]["conversations"][1:]] == [
        "Question: What is 3 + 4?\n\ngood", "about good", "bad", "about bad",
    ]  # fmt: skip
    assert all(set(row) == {"conversations"} for row in rows)


@pytest.mark.anyio
async def test_an_interrupted_job_goes_on(labelled, tmp_path):
    path = tmp_path / "journal"
    with Journal(path, {}) as journal, pytest.raises(Unavailable):
        await synthesize(labelled, Counting(3), journal, at_once=1)
    teacher = Counting()
    with Journal(path, {}) as journal:
        rows, summary = await synthesize(labelled, teacher, journal)
    assert (summary.resumed, teacher.judged) == (3, 3)
    with Journal(tmp_path / "fresh", {}) as journal:
        whole, _ = await synthesize(labelled, Counting(), journal)
    assert rows == whole


@pytest.mark.anyio
async def test_other_labels_for_the_same_solution_are_noticed(kit, tmp_path):
    async def write(problem, steps, seed):
        return said(True)

    with Journal(tmp_path / "journal", {}) as journal:
        for labels, error in (([True], None), ([False], "not what it was")):
            solutions = read_labelled([json.dumps(kit.row("a", labels=labels))])
            if error is None:
                await synthesize(solutions, FunctionTeacher(write), journal)
            else:
                with pytest.raises(ConfigError, match=error):
                    await synthesize(solutions, FunctionTeacher(write), journal)


def test_labels_must_be_there_for_each_step(kit):
    for more, count in (({}, "no"), ({"labels": [True]}, "1")):
        with pytest.raises(ConfigError, match=f"has {count} labels for 2 steps"):
            read_labelled([json.dumps(kit.row("a", "b", **more))])
