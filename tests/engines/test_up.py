"""`tts up` with real servers: they are used, killed, started again, and gone at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ENVIRONMENTS = Path(__file__).parents[2] / ".engines"
SECONDS = 400.0
NANO = [
    "--policy", "nano", "--verifier", "nano", "--device", "cpu:7", "--problems", "4",
    "--length", "prompt=40", "--length", "step=35", "--length", "depth=6",
    "--length", "question=60", "--length", "vote=60", "--strategy", "beam:n=8,width=2",
]  # fmt: skip

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]


@pytest.fixture
def engine() -> str:
    for name in ("vllm", "sglang"):
        if (ENVIRONMENTS / name / "complete.json").exists():
            return name
    pytest.skip("no engine here: make test-engines")


class Up:
    """`tts up` as a process."""

    def __init__(self, engine: str, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.told = folder / "told"
        python = ENVIRONMENTS / engine / "bin" / "python"
        words = [*NANO, "--engine", engine, "--python", str(python), "--logs", str(folder)]
        with self.told.open("wb") as told:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tts", "up", *words, "--json"],
                stdout=subprocess.PIPE,
                stderr=told,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )

    def document(self) -> dict[str, Any]:
        """What it prints once both serve."""
        assert self.process.stdout is not None
        text = ""
        for line in self.process.stdout:
            text += line.decode()
            if line == b"}\n":
                whole: dict[str, Any] = json.loads(text)
                return whole
        pytest.fail(f"it ended:\n{self.told.read_text()[-3000:]}")

    def lines(self, part: str) -> int:
        """How often it has told something."""
        return self.told.read_text().count(part)

    def wait_for(self, part: str, times: int) -> None:
        end = time.monotonic() + SECONDS
        while self.lines(part) < times:
            assert self.process.poll() is None, self.told.read_text()[-3000:]
            assert time.monotonic() < end, self.told.read_text()[-3000:]
            time.sleep(0.2)

    def server(self, name: str) -> int:
        """The first process of a server."""
        return next(pid for pid, words in self.servers() if f"weights/{name}" in words)

    def servers(self) -> list[tuple[int, str]]:
        """Every process in a group that one of our servers leads, and its words."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                words = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                group = os.getpgid(int(path.name))
                leader = Path(f"/proc/{group}/cmdline").read_bytes().decode(errors="replace")
            except (OSError, ProcessLookupError):
                continue
            if words and str(self.folder) in leader and "up" not in leader.split("\0")[:4]:
                found.append((int(path.name), words))
        return sorted(found)


@pytest.fixture
def up(engine: str, tmp_path: Path) -> Iterator[Up]:
    started = Up(engine, tmp_path)
    with started.process:  # which closes its pipe
        yield started
        started.process.kill()
    for pid, _ in started.servers():
        os.kill(pid, signal.SIGKILL)


def test_servers_are_brought_up_kept_up_and_ended(up: Up) -> None:
    document = up.document()
    assert [server["name"] for server in document["servers"]] == ["policy", "verifier"]
    assert _solved(document["solve"]) == "72"

    os.kill(up.server("policy"), signal.SIGKILL)
    up.wait_for("policy: killed by SIGKILL", 1)
    up.wait_for("policy: serves at", 2)
    assert _solved(document["solve"]) == "72"

    assert up.servers()
    up.process.send_signal(signal.SIGTERM)
    assert up.process.wait(timeout=60) == 0
    assert up.servers() == []
    assert up.lines("verifier: serves at") == 1


def _solved(words: list[str]) -> str:
    """The answer that the printed line finds."""
    problem = ["Evaluate 12 + 30 * 2.", "--budget", "8k", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-m", *words, *problem],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
