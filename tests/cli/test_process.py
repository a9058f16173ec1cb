"""Real processes: Ctrl-C, exit codes, what is imported, and how a terminal looks."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys

import pytest

SLOW = """
import signal, sys, time
from tts.backends import fake
from tts.cli import run

# Whoever started the tests may have had SIGINT ignored, as shells do for what runs in background.
signal.signal(signal.SIGINT, signal.default_int_handler)

served = 0

def script(text, seed):
    global served
    served += 1
    if served == 3:
        print("ready", file=sys.stderr, flush=True)
        time.sleep(60 if sys.argv[1] == "stuck" else 0)
    return fake.ramble(text, seed)

def delay(request, seed):
    return 0.05 if seed % 4 == 0 else 60.0

fake.open_fake = lambda location: fake.FakeBackend(script, delay=delay)
sys.exit(run(sys.argv[2:]))
"""


def slow(kind: str, *words: str) -> subprocess.Popen[str]:
    """A search that takes a minute and has some answers; its event loop may be stuck."""
    command = [sys.executable, "-W", "error", "-c", SLOW, kind, "solve", "hi", "--policy", "fake"]
    process = subprocess.Popen(
        [*command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "ready\n"
    return process


def run(*words: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "tts", *words],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, **options,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")]
)
def test_being_interrupted_shows_the_best_so_far(number: signal.Signals, name: str):
    process = slow("slow", "--json", "-n", "64")
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert err == f"stopping; {name} again quits at once\n"
    whole = json.loads(out)
    assert whole["stop_reason"] == "cancelled"
    assert whole["candidates"]


def test_ctrl_c_ends_a_benchmark_with_one_line():
    program = (
        "import signal, sys; from tts.cli import run;"
        "signal.signal(signal.SIGINT, signal.default_int_handler); sys.exit(run(sys.argv[1:]))"
    )
    words = ["bench", "nano_search", "--set", "problems=50", "--set", "levels=7"]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    process.stderr.readline()  # its first progress
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "error: interrupted"
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_quits_at_once_even_if_the_loop_is_stuck(number: signal.Signals):
    process = slow("stuck", "-n", "64")
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline() == "stopping; Ctrl-C again quits at once\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (128 + number, "", "")


def test_exit_codes_reach_the_shell():
    assert run("solve", "hi", "--policy", "fake").returncode == 0
    assert run("solve", "hi", "--policy", "fake", "--budget", "5").returncode == 3
    wrong = run("solve", "hi", "--policy", "none")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: unknown backend 'none'")


def test_a_reader_that_leaves_is_no_error():
    process = subprocess.Popen(
        [sys.executable, "-m", "tts", "solve", "hi", "--policy", "fake", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    process.wait(timeout=30)


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["solve", "--help"]])
def test_help_imports_nothing_heavy(words):
    code = (
        "import sys\nfrom tts.cli import run\n"
        f"assert run({words!r}) == 0\n"
        "heavy = {'numpy', 'torch', 'transformers', 'aiohttp', 'networkx', 'anyio', 'asyncio',"
        " 'sympy', 'tts.engine', 'tts.answers', 'tokenizers'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_the_command_line_loads_no_pydantic():
    code = "import tts.cli.app, sys; assert 'pydantic' not in sys.modules and 'rich' in dir() or 1"
    loaded = subprocess.run(
        [sys.executable, "-c", f"{code}; print(*sorted(m.split('.')[0] for m in sys.modules))"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert not {"pydantic", "numpy", "aiohttp", "networkx", "anyio"} & set(loaded)


def test_a_terminal_sees_the_search_live_and_gets_its_cursor_back():
    master, terminal = pty.openpty()
    command = [sys.executable, "-c", SLOW, "slow", "solve", "hi", "--policy", "fake"]
    process = subprocess.Popen(
        [*command, "-n", "64", "--budget", "50k", "--deadline", "1500ms"],
        stdin=terminal, stdout=terminal, stderr=terminal, env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    os.close(terminal)
    seen = b""
    while select.select([master], [], [], 30)[0]:
        try:
            seen += os.read(master, 65536)
        except OSError:  # the other end is closed
            break
    os.close(master)
    assert process.wait(timeout=30) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode())
    for part in ("best_of_n · fake", "tokens/s", "of 50,000", "in progress", "of the vote"):
        assert part in text
    assert "The time was up (1.50 s)." in text
    assert seen.rfind(b"\x1b[?25h") > seen.rfind(b"\x1b[?25l")
