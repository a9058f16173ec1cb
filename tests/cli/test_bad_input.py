"""Bad input: one line on stderr, the right code, nothing on stdout, nothing half-written."""

from pathlib import Path

import pytest

BAD = {
    "empty": (["solve", "   "], "the problem is empty"),
    "nothing piped": (["solve"], "the problem is empty"),
    "two problems": (["solve", "x", "--example"], "give the problem once"),
    "unknown command": (["sovle"], "no such command 'sovle'"),
    "unknown option": (["solve", "x", "--bugdet", "3"], "no such option: --bugdet"),
    "unknown policy": (["solve", "x", "--policy", "fak"], "did you mean 'fake'?"),
    "unknown strategy": (["solve", "x", "--strategy", "beem"], "did you mean 'beam'?"),
    "unknown verifier": (["solve", "x", "--verifier", "like"], "did you mean 'likelihood'?"),
    "unknown selector": (["solve", "x", "--select", "bset"], "did you mean 'best'?"),
    "unknown knob": (["solve", "x", "--set", "m=3"], "unknown knob of best_of_n 'm' (allowed: n)"),
    "unknown verifier knob": (
        ["solve", "x", "--verifier", "likelihood", "--set", "verifier.votes=3"],
        "unknown knob of likelihood 'votes' (allowed: reduction)",
    ),
    "knob without value": (["solve", "x", "--set", "n"], "'n' in --set must be NAME=VALUE"),
    "knob in spec without value": (
        ["solve", "x", "--strategy", "beam:4", "--verifier", "likelihood"],
        "'4' in 'beam:4' is not a knob",
    ),
    "knob in spec and set": (
        ["solve", "x", "--strategy", "best_of_n:n=3", "--set", "n=3"],
        "n of best_of_n is set twice",
    ),
    "knob that must be given": (["solve", "x", "--verifier", "judge"], "has to be told backend"),
    "knob of no verifier": (["solve", "x", "--set", "verifier.a=3"], "needs a --verifier"),
    "knob set twice": (
        ["solve", "x", "--set", "n=3", "--set", "n=4"],
        "n of best_of_n is set twice",
    ),
    "n given twice": (["solve", "x", "--set", "n=3", "-n", "4"], "n of best_of_n is set twice"),
    "knob of wrong type": (
        ["solve", "x", "--set", "n=many"],
        "best_of_n: n='many': must be a valid integer",
    ),
    "n zero": (["solve", "x", "--n", "0"], "n=0 must be at least 1"),
    "n no number": (
        ["solve", "x", "--n", "few"],
        "invalid value for '--n' / '-n': 'few': must be a valid integer",
    ),
    "temperature no number": (
        ["solve", "x", "--temperature", "warm"],
        "'--temperature': 'warm': must be a valid number",
    ),
    "temperature negative": (
        ["solve", "x", "--temperature", "-0.5"],
        "'--temperature': '-0.5': must be greater than or equal to 0",
    ),
    "speculate negative": (
        ["solve", "x", "--speculate", "-2"],
        "'--speculate': '-2': must be greater than or equal to 0",
    ),
    "no such mode": (
        ["refine", "x", "--mode", "again"],
        "'--mode': 'again' is not one of 'auto', 'rewrite', 'resume'",
    ),
    "budget zero": (
        ["solve", "x", "--budget", "0"],
        "--budget: tokens=0 must be a finite number above 0",
    ),
    "budget negative": (["solve", "x", "--budget", "-5"], "--budget: '-5' is not a quantity"),
    "budget infinite": (
        ["solve", "x", "--budget", "1e999"],
        "--budget: tokens=inf must be a finite",
    ),
    "budget in euros": (["solve", "x", "--budget", "eur=1"], "--budget: unknown unit of a budget"),
    "deadline twice": (
        ["solve", "x", "--budget", "seconds=3", "--deadline", "4s"],
        "seconds are limited by --budget and by --deadline",
    ),
    "money without prices": (
        ["solve", "x", "--budget", "usd=1"],
        "such as nano:usd_in=0.2,usd_out=0.8 or vllm:http://host:8000,usd_in=0.2,usd_out=0.8",
    ),
    "knobs without a colon": (
        ["solve", "x", "--policy", "fake,usd_in=1,usd_out=2"],
        "knobs of fake come after a colon: fake:usd_in=1,usd_out=2",
    ),
    "deadline no time": (["solve", "x", "--deadline", "soon"], "--deadline: 'soon' is not a time"),
    "samples zero": (["solve", "x", "--samples", "0"], "--samples 0: must be"),
    "seed negative": (["solve", "x", "--seed", "-1"], "'--seed': '-1': must be greater than or"),
    "verdicts without verifier": (["solve", "x", "--strategy", "beam"], "add --verifier NAME"),
    "unwritable": (["solve", "x", "--out", "/no/such/folder/x"], "cannot write /no/such/folder/x"),
    "out is a folder": (["solve", "x", "--out", "/"], "it is a directory"),
    "unwritable events": (["solve", "x", "--events", "/no/such/x"], "cannot write /no/such/x"),
    "no such file": (["solve", "--file", "/no/such"], "cannot read /no/such"),
    "file is a folder": (["solve", "--file", "/"], "cannot read /"),
    "unknown family": (["solve", "--example", "word"], "did you mean 'words'?"),
    "no such level": (["solve", "--example", "words-9"], "levels are 1 to 7"),
    "not an example": (["solve", "--example", "words-x"], "is not an example"),
    "too long for the model": (["solve", "x" * 101_000], "has room for 100,000".replace(",", "")),
    "too long for anybody": (["solve", "x" * 1_000_001], "longer than 1,000,000 bytes"),
    "not Unicode": (["solve", "\udcff"], "not valid Unicode"),
    "demo of no family": (["demo", "--family", "sums"], "unknown family of examples 'sums'"),
}


@pytest.mark.parametrize("case", BAD, ids=[name.replace(" ", "_") for name in BAD])
def test_is_told_in_one_line(tts, case):
    words, message = BAD[case]
    policy = [] if "--policy" in words or words[0] == "sovle" else ["--policy", "fake"]
    outcome = tts(*words, *policy)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert message in outcome.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x7fELF\xff\xfe", "is not UTF-8 text (byte 0xff at 4)"),
        (b"text\0more", "contains a zero byte"),
        (b"x" * 1_000_001, "is longer than 1,000,000 bytes"),
        (b" \n", "the problem is empty"),
    ],
)
def test_what_is_no_text_is_refused_from_file_and_stdin(tts, tmp_path: Path, content, message):
    file = tmp_path / "problem"
    file.write_bytes(content)
    from_file = tts("solve", "--policy", "fake", "--file", str(file))
    from_stdin = tts("solve", "--policy", "fake", stdin=content)
    for outcome in (from_file, from_stdin):
        assert (outcome.code, outcome.out) == (2, "")
        assert message in outcome.err


def test_output_files_survive_a_search_that_cannot_start(tts, tmp_path: Path):
    out, events = tmp_path / "result.json", tmp_path / "events.jsonl"
    out.write_text("precious")
    events.write_text("precious")
    outcome = tts("solve", "x", "--policy", "no", "--out", str(out), "--events", str(events))
    assert outcome.code == 2
    assert [file.read_text() for file in (out, events)] == ["precious", "precious"]
    assert sorted(tmp_path.iterdir()) == [events, out]


def test_an_unexpected_error_is_one_line_with_a_way_to_see_more(tts, monkeypatch):
    def broken(location: str) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("tts.backends.fake.open_fake", broken)
    outcome = tts("solve", "x", "--policy", "fake")
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1
    assert "unexpected ZeroDivisionError: oops" in outcome.err
    assert "TTS_DEBUG=1" in outcome.err
    monkeypatch.setenv("TTS_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        tts("solve", "x", "--policy", "fake")
