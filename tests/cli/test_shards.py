"""Shares of commands: put together they are, byte for byte, what one process writes."""

import json
import random
import subprocess
import sys

import pytest

from tts import registry
from tts_nano.problems import generate, solution

POLICY = (
    "bench", "nano_policy", "--quiet", "--set", "problems=3", "--set", "levels=2,4",
    "--set", "families=reduction", "--set", "samples=3", "--set", "samples_elsewhere=2",
)  # fmt: skip
JUDGED = (
    "bench", "processbench", "--quiet", "--set", "each=1", "--set", "families=reduction",
    "--set", "verifiers=genprm-nano:mode=cot",
)  # fmt: skip
EARNED = (
    "bench", "nano_budgets", "--quiet", "--set", "problems=4", "--set", "chosen_on=3",
    "--set", "octaves=0", "--set", "votes=0,1", "--set", "levels=2", "--set", "least=3000",
)  # fmt: skip


@pytest.mark.parametrize("words", [POLICY, pytest.param(JUDGED, marks=pytest.mark.slow)])
def test_shares_of_a_benchmark_merge_to_the_whole(tts, tmp_path, words):
    whole = tts(*words, "--out", str(tmp_path / "whole.json"))
    out = tmp_path / "parts.json"
    for share in ("2/3", "1/3", "3/3"):
        done = tts(*words, "--out", str(out), "--shard", share)
        assert (done.code, done.out) == (0, ""), done.err
    merged = tts("merge", str(out))
    assert merged.out == whole.out
    assert out.read_bytes() == (tmp_path / "whole.json").read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_study_whose_second_wave_depends_on_its_first_takes_two_rounds(tts, tmp_path):
    whole, out = tmp_path / "whole.json", tmp_path / "parts.json"
    tts(*EARNED, "--out", str(whole))
    for code in (2, 0):
        for share in ("2/2", "1/2"):
            assert tts(*EARNED, "--out", str(out), "--shard", share).code == 0
        assert tts("merge", str(out)).code == code
    assert out.read_bytes() == whole.read_bytes()


def test_shares_of_labels_merge_to_the_whole(tts, tmp_path):
    rows = []
    for number in (3, 4, 4, 5):  # two solutions of one problem stay together
        problem = generate("reduction", 1, number, "dev")
        rows.append({"problem": problem.prompt, "answer": problem.answer})
        rows[-1]["steps"] = solution(problem, random.Random(number))[: 1 + len(rows)]
    given = tmp_path / "given.jsonl"
    given.write_text("\n".join(map(json.dumps, rows)))
    words = ("label", str(given), "--factor", "0.05")
    whole, out = tmp_path / "whole.jsonl", tmp_path / "parts.jsonl"
    assert tts(*words, "--out", str(whole)).code == 0
    for index in (1, 2, 3, 4, 5):  # more shares than problems
        done = tts(*words, "--out", str(out), "--shard", f"{index}/5")
        assert done.code == 0, done.err
    merged = tts("merge", str(out))
    assert merged.out == f"4 rows are in {out}\n"
    assert out.read_bytes() == whole.read_bytes()


def test_rows_never_replace_what_they_are_made_of(tts, tmp_path):
    given = tmp_path / "given.jsonl"
    given.write_text('{"problem": "Evaluate 1 + 2.", "answer": "3", "steps": ["3"]}')
    outcome = tts("label", str(given), "--out", str(given))
    assert outcome.code == 2
    assert "FILE and --out are the same file" in outcome.err


def test_what_is_lacking_or_does_not_belong_is_told(tts, tmp_path):
    out = str(tmp_path / "parts.json")
    assert "there are no parts" in tts("merge", out).err
    tts(*POLICY, "--out", out, "--shard", "1/2")
    assert f"of {out} there is no part 2/2 yet" in tts("merge", out).err
    other = tts(*POLICY, "--set", "seed=1", "--out", out, "--shard", "2/2")
    assert other.code == 2
    assert "different work" in other.err
    own = tts(*POLICY, "--set", "seed=1", "--out", out, "--shard", "1/2")
    assert own.code == 2
    assert "seed=1" in own.err
    assert "different work" in own.err
    assert tts(*POLICY, "--out", out, "--shard", "1/3").code == 0
    assert "shares of different numbers" in tts("merge", out).err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--shard", "1/2"), "say --out PATH"),
        (("--ray",), "say --out PATH"),
        (("--shard", "3/2", "--out", "x"), "there is no share 3/2"),
        (("--shard", "1/2", "--ray", "auto", "--out", "x"), "leave --shard away"),
        (("--shards", "2"), "--shards is for --ray"),
    ],
)
def test_options_that_do_not_go_together_are_told(tts, more, said):
    outcome = tts(*POLICY, *more)
    assert outcome.code == 2
    assert said in outcome.err


def test_a_benchmark_that_works_in_one_piece_says_so(tts, tmp_path, monkeypatch):
    class Whole:
        async def run(self, progress):
            progress("all", 0.5)

    class EntryPoint:
        def load(self):
            return Whole

    monkeypatch.setattr(registry, "_entry_points", lambda kind: {"whole": EntryPoint()})
    outcome = tts("bench", "whole", "--out", str(tmp_path / "x"), "--shard", "1/2")
    assert outcome.code == 2
    assert "does its work in one piece" in outcome.err


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("words", [POLICY, EARNED])
def test_a_ray_cluster_finds_what_one_process_finds(tmp_path, words):
    pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
    outs = [tmp_path / "alone.json", tmp_path / "ray.json"]
    for out, more in zip(outs, ((), ("--ray", "--shards", "2")), strict=True):
        command = [sys.executable, "-m", "tts", *words, "--out", str(out), *more]
        done = subprocess.run(command, capture_output=True, text=True, timeout=190, check=False)
        assert done.returncode == 0, done.stderr
    assert outs[0].read_bytes() == outs[1].read_bytes()
