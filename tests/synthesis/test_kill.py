"""A job that is killed loses what was in flight, and nothing else."""

import json
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

PROGRAM = """
import json, sys, random, anyio
from pathlib import Path
from tts.answers import AnswerChecker
from tts.backends.fake import FakeBackend
from tts.policy import LanguagePolicy
from tts_verifiers.synthesis import Completer, Journal, Schedule, as_steps, label, read_solutions

def gamble(text, seed):
    return f"The answer is \\\\boxed{{{7 if random.Random(seed).random() < 0.8 else 8}}}."

async def main(delay):
    backend = FakeBackend(gamble, delay=lambda request, seed: delay)
    solutions = read_solutions(Path("solutions.jsonl").read_text().split("\\n"))
    async with AnswerChecker(workers=0) as checker:
        completer = Completer(LanguagePolicy(backend), checker, schedule=Schedule(0.1))
        with Journal(Path("journal"), {}) as journal:
            rows, summary = await label(
                solutions, completer,
                lambda texts: as_steps(texts, backend.tokenizer, backend.model.dialect),
                journal, at_once=3,
            )
    print(json.dumps({"rows": rows, "resumed": summary.resumed, "served": backend.served}))

anyio.run(main, float(sys.argv[1]))
"""


def done(path) -> int:
    database = sqlite3.connect(path)  # rolls back what was being written
    try:
        return database.execute("SELECT count(*) FROM items").fetchone()[0]
    finally:
        database.close()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_killed_job_goes_on_where_it_was_and_ends_the_same(tmp_path, kit):
    rows = [
        kit.row(f"step {index}", "more", kit.right, problem_id=index // 2) for index in range(40)
    ]

    def start(folder, delay):
        folder.mkdir(exist_ok=True)
        (folder / "solutions.jsonl").write_text("\n".join(map(json.dumps, rows)))
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(delay)], cwd=folder, stdout=subprocess.PIPE
        )

    killed = tmp_path / "killed"
    process = start(killed, 0.02)
    journal = killed / "journal"
    for _ in range(2000):
        # The journal is locked while it is open; its size tells that items are in it.
        if journal.exists() and journal.stat().st_size > 20_000:
            break
        assert process.poll() is None, "it was done before it was killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    before = done(journal)
    assert 0 < before < 60  # 40 solutions and 20 problems

    def finish(folder):
        process = start(folder, 0)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        return json.loads(out)

    resumed, whole = finish(killed), finish(tmp_path / "whole")
    assert resumed["rows"] == whole["rows"]
    assert resumed["resumed"] > 0
    assert resumed["served"] < whole["served"]
