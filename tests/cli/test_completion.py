"""Completion: shells complete names of what is installed."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("tts solve --strategy b", {"beam", "best_of_n"}),
        ("tts solve --verifier l", {"likelihood"}),
        ("tts solve --select w", {"weighted"}),
        ("tts solve --policy fa", {"fake"}),
        ("tts demo --family w", {"words"}),
        ("tts solve --example equations-7", {"equations-7"}),
    ],
)
def test_names_are_completed(typed, expected):
    environment = {
        **os.environ,
        "_TTS_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    code = "from tts.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert set(done.stdout.split()) >= expected, done.stderr
