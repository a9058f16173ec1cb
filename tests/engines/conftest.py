"""Real servers on the CPU, a process each, from the environments that `install.py` makes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tts_nano.backend import SHIPPED

ENVIRONMENTS = Path(__file__).parents[2] / ".engines"
START_SECONDS = 240.0
CONTEXT = 2048

COMMON = {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "TORCHDYNAMO_DISABLE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "SGLANG_USE_CPU_ENGINE": "1",
    "SGLANG_RETURN_ORIGINAL_LOGPROB": "1",
}
COMMANDS = {
    "vllm": "-m vllm.entrypoints.openai.api_server --model {model} --tokenizer {tokenizer}"
    " --served-model-name policy"
    " --max-model-len {context} --dtype float32 --enforce-eager --block-size 32"
    " --distributed-executor-backend uni --enable-prompt-tokens-details"
    " --scheduling-policy priority --host 127.0.0.1 --port {port}",
    "sglang": "-m sglang.launch_server --model-path {model} --tokenizer-path {tokenizer}"
    " --served-model-name policy"
    " --device cpu --attention-backend torch_native --dtype float32 --max-total-tokens 50000"
    " --cuda-graph-backend-decode disabled --cuda-graph-backend-prefill disabled"
    " --sleep-on-idle --enable-cache-report --enable-metrics --host 127.0.0.1 --port {port}",
}


class Server:
    """One engine as a process that can be killed and started again at the same address."""

    def __init__(self, kind: str, model: Path, log: Path) -> None:
        self.kind = kind
        self._model = model
        self._log = log
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self.spec = f"{kind}:{self.url}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it, and wait until it serves."""
        python = ENVIRONMENTS / self.kind / "bin" / "python"
        words = COMMANDS[self.kind].format(
            model=self._model, tokenizer=self._tokenizer(), port=self._port, context=CONTEXT
        )
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(python), *words.split()],
                env={**os.environ, **COMMON},
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self._log.parent,
            )
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self._process.poll() is not None:
                pytest.fail(f"{self.kind} did not start:\n{self._log.read_text()[-3000:]}")
            with suppress(OSError), urllib.request.urlopen(self.url + "/health", timeout=5):
                return
            time.sleep(0.5)
        pytest.fail(f"{self.kind} did not serve within {START_SECONDS:g} s")

    @property
    def group(self) -> int:
        """The process group of all its processes; 0 if it is not running."""
        return 0 if self._process is None else self._process.pid

    def _tokenizer(self) -> Path:
        """The model's tokenizer in a folder of its own.

        Beside a `config.json` that says qwen2, transformers 5 replaces how it splits text.
        """
        folder = self._log.parent / "tokenizer"
        folder.mkdir(exist_ok=True)
        for path in self._model.glob("tokenizer*.json"):
            (folder / path.name).write_bytes(path.read_bytes())
        return folder

    def kill(self) -> None:
        """As `kill -9` does, children too."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def metric(self, name: str) -> float:
        """The sum of one of its own counters or gauges."""
        with urllib.request.urlopen(self.url + "/metrics", timeout=10) as reply:
            lines = reply.read().decode().splitlines()
        values = [float(line.rsplit(" ", 1)[1]) for line in lines if _is(line, name)]
        assert values, f"{self.kind} has no metric {name}"
        return sum(values)


def _is(line: str, name: str) -> bool:
    return line.startswith((name + "{", name + " "))


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], Server]]:
    """The server of an engine and one of our models, started when it is first asked for."""
    servers: dict[tuple[str, str, int], Server] = {}

    def started(kind: str, model: str = "policy", copy: int = 1) -> Server:
        if not (ENVIRONMENTS / kind / "complete.json").exists():
            pytest.skip(f"no {kind} here: make test-engines")
        if (kind, model, copy) not in servers:
            log = tmp_path_factory.mktemp(kind) / f"{model}.log"
            server = servers[kind, model, copy] = Server(kind, SHIPPED / model, log)
            server.start()
        return servers[kind, model, copy]

    yield started
    for server in servers.values():
        server.kill()


@pytest.fixture(params=["vllm", "sglang"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(kind: str, serve: Callable[..., Server]) -> Server:
    return serve(kind)
