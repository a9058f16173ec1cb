"""Real servers on the CPU, a process each, from the environments that `install.py` makes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sysconfig
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.engines.replies import Replies
from tts.backends.base import Request
from tts.budget.meter import Meter
from tts.errors import Unavailable
from tts.registry import open_backend
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

    def halt(self) -> None:
        """Stop it as it stands: what it is doing lasts until it is killed."""
        os.killpg(self.group, signal.SIGSTOP)

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


@pytest.fixture
def replies(monkeypatch: pytest.MonkeyPatch) -> Replies:
    """What servers answer during this test."""
    counted = Replies()
    counted.install(monkeypatch.setattr)
    return counted


INPROCESS = {
    "vllm": "max_model_len=2048,dtype=float32,enforce_eager=true,block_size=32,"
    "distributed_executor_backend=uni",
    "sglang": "device=cpu,attention_backend=torch_native,dtype=float32,max_total_tokens=50000,"
    "cuda_graph_backend_decode=disabled,cuda_graph_backend_prefill=disabled,"
    "enable_priority_scheduling=true",
}


class Lasting:
    """An engine that outlasts those who close it."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    async def aclose(self) -> None:
        """Nothing: it is closed, and that looked at, when all tests are done."""


@pytest.fixture(scope="session")
def engine_of_this_process() -> Iterator[Any]:
    """The one that this interpreter has, if any, with the nano policy."""
    kind = next((kind for kind in INPROCESS if find_spec(kind)), None)
    if kind is None:
        pytest.skip("this interpreter has neither vLLM nor SGLang")
    backend = open_backend(f"{kind}-inproc:{SHIPPED / 'policy'},options=[{INPROCESS[kind]}]")
    yield backend
    anyio.run(closed_for_good, backend)


async def closed_for_good(backend: Any) -> None:
    """Closes twice and is then gone."""
    await backend.aclose()
    await backend.aclose()
    with pytest.raises(Unavailable):
        await backend.generate(Request((1, 2, 3), 1), Meter())


@pytest.fixture
def inprocess(engine_of_this_process: Any) -> Lasting:
    return Lasting(engine_of_this_process)


@pytest.fixture
def interpreter(kind: str) -> tuple[Path, dict[str, str]]:
    """The Python that has an engine, and an environment in which it also has us and pytest."""
    folder = ENVIRONMENTS / kind
    if not (folder / "complete.json").exists():
        pytest.skip(f"no {kind} here: make test-engines")
    root = ENVIRONMENTS.parent
    ours = [root, *(root / room for room in ("strategies", "verifiers", "nano", "benchmarks"))]
    # Ours last, so that what both have is the engine's.
    paths = [*map(str, ours), sysconfig.get_path("purelib")]
    environment = {**os.environ, **COMMON, "PYTHONPATH": os.pathsep.join(paths)}
    return folder / "bin" / "python", environment
