"""How often real engines compute what a search shares: by their own counters, ours and by text.

Two servers (policy and verifier) of one kind of engine serve the same searches twice: driven in
token ids as `tts` does, and as text, the way scripts around a chat endpoint do. Cached tokens come
from the servers' metrics, the tries from the prompts that were sent.

    python benchmarks/overhead/engines/bench.py sglang vllm --problems 3
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import tokenizers

from tts.backends.base import Request
from tts.backends.remote.backend import RemoteBackend
from tts.backends.remote.bill import Bill
from tts.backends.remote.facts import Known
from tts.backends.remote.line import Line
from tts.backends.remote.opening import Terms, connect
from tts.backends.remote.reading import Raw
from tts.backends.remote.sglang import SGLang
from tts.backends.remote.vllm import VLLM
from tts.backends.remote.wire import Wire
from tts.budget.meter import Meter
from tts.engine import Engine
from tts.policy import LanguagePolicy
from tts.result import Result
from tts.types import Cost, Judgement, Problem
from tts.verifier import Case, ModelInfo, Reduction
from tts_nano.backend import SHIPPED
from tts_nano.problems import generate, solution
from tts_verifiers.genprm import PROFILES, Effort, GenPRM, Mode

sys.path.insert(0, str(Path(__file__).parents[3]))
from tests.engines.conftest import COMMON, Server

STRATEGIES = {"best-of-16": "best_of_n:n=16", "beam 16 x 4": "beam:n=16,width=4"}
BLOCK = {"sglang": 1, "vllm": 32}
COUNTERS = {
    "sglang": ("sglang:prompt_tokens_total", "sglang:cached_tokens_total"),
    "vllm": ("vllm:prompt_tokens_total", "vllm:prefix_cache_hits_total"),
}
FLUSH = {"sglang": "/flush_cache", "vllm": "/reset_prefix_cache"}
POLL_SECONDS = 0.02


@dataclass
class Trie:
    """What was sent, each prefix once."""

    block: int
    links: dict[tuple[int, int], int] = field(default_factory=dict)
    prompt: set[int] = field(default_factory=set)
    """Places that stand in a prompt."""
    sent: int = 0
    least: int = 0
    """Tokens of prompts that an engine has to compute which holds all full blocks of what it had
    before: of each prompt at least the last token."""

    def ask(self, ids: Sequence[int]) -> None:
        """A prompt is sent."""
        place = held = 0
        for id in ids[:-1]:
            if (place := self.links.get((place, id), -1)) < 0:
                break
            held += 1
        self.least += len(ids) - held // self.block * self.block
        self.add(ids, prompt=True)

    def add(self, ids: Sequence[int], *, prompt: bool) -> None:
        place = 0
        for id in ids:
            place = self.links.setdefault((place, id), len(self.links) + 1)
            if prompt:
                self.prompt.add(place)
        if prompt:
            self.sent += len(ids)


@dataclass
class Recorder:
    """A `Wire` that remembers what was asked, around another."""

    wire: Wire
    trie: Trie
    samples: int = 0

    @property
    def gathers(self) -> bool:
        return self.wire.gathers

    async def ask(self, request: Request, bill: Bill, begun: Callable[[], None] | None) -> Raw:
        self.trie.ask(request.prompt)
        self.samples += 1
        raw = await self.wire.ask(request, bill, begun)
        self.trie.add(request.prompt + raw.token_ids, prompt=False)
        return raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wire, name)


class Spelled:
    """Ids as the text that a chat template would have given, and back."""

    def __init__(self, model: Path) -> None:
        self._tokenizer = tokenizers.Tokenizer.from_file(str(model / "tokenizer.json"))
        self.eos = json.loads((model / "config.json").read_text())["eos_token_id"]

    def text(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))

    def again(self, raw: Raw) -> Raw:
        """The sample as whoever has only its text knows it: encoded anew."""
        ids = tuple(self._tokenizer.encode(raw.text, add_special_tokens=False).ids)
        eos = self.eos if isinstance(self.eos, int) else self.eos[0]
        ids = ids or (eos,)
        return replace(raw, token_ids=ids, logprobs=(0.0,) * len(ids))


class TextVLLM(VLLM):
    """Sends and receives text."""

    def __init__(self, line: Line, spelled: Spelled) -> None:
        super().__init__(line)
        self._spelled = spelled

    def _body(self, request: Request) -> dict[str, object]:
        return {**super()._body(request), "prompt": self._spelled.text(request.prompt)}

    async def ask(self, request: Request, bill: Bill, begun: Callable[[], None] | None) -> Raw:
        return self._spelled.again(await super().ask(request, bill, begun))


class TextSGLang(SGLang):
    """Sends and receives text; siblings in a burst."""

    gathers = False

    def __init__(self, line: Line, spelled: Spelled) -> None:
        super().__init__(line)
        self._spelled = spelled

    def _body(self, request: Request, rid: str) -> dict[str, object]:
        body = super()._body(request, rid)
        del body["input_ids"]
        return {**body, "text": self._spelled.text(request.prompt)}

    async def ask(self, request: Request, bill: Bill, begun: Callable[[], None] | None) -> Raw:
        return self._spelled.again(await super().ask(request, bill, begun))


class OneAtATime:
    """A verifier that has one conversation at a time, as scripts that loop over candidates do."""

    def __init__(self, verifier: GenPRM) -> None:
        self._verifier = verifier
        self._lock = anyio.Lock()

    @property
    def model(self) -> ModelInfo | None:
        return self._verifier.model

    @property
    def reduction(self) -> Reduction:
        return self._verifier.reduction

    @property
    def sampled(self) -> bool:
        return self._verifier.sampled

    def bound(self, case: Case, more_tokens: int) -> Cost:
        return self._verifier.bound(case, more_tokens)

    async def judge(self, case: Case, meter: Meter) -> Sequence[Judgement | None]:
        async with self._lock:
            return await self._verifier.judge(case, meter)

    async def aclose(self) -> None:
        await self._verifier.aclose()


@dataclass
class Idle:
    """How often a server had nothing of ours while the search went on."""

    backends: Mapping[str, RemoteBackend]
    polls: int = 0
    empty: dict[str, int] = field(default_factory=dict)

    async def watch(self) -> None:
        while True:
            await anyio.sleep(POLL_SECONDS)
            idle = [name for name, backend in self.backends.items() if not backend.load]
            self.polls += 1
            for name in [*idle, *(["both"] if len(idle) == len(self.backends) else [])]:
                self.empty[name] = self.empty.get(name, 0) + 1

    def shares(self) -> dict[str, float]:
        return {name: round(n / self.polls, 3) for name, n in self.empty.items()}


def cpu_of(server: Server) -> float:
    """CPU seconds of a server's processes so far."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == server.group or int(fields[3]) == server.group:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def flush(server: Server) -> None:
    request = urllib.request.Request(server.url + FLUSH[server.kind], method="POST")
    urllib.request.urlopen(request, timeout=30).read()


async def opened(
    server: Server, role: str, by_text: bool, at_once: int
) -> tuple[RemoteBackend, Recorder]:
    spelled, recorders = Spelled(SHIPPED / role), []

    def wire_of(line: Line) -> Wire:
        wire: Wire
        if by_text:
            wire = {"vllm": TextVLLM, "sglang": TextSGLang}[server.kind](line, spelled)
        else:
            wire = {"vllm": VLLM, "sglang": SGLang}[server.kind](line)
        recorders.append(Recorder(wire, Trie(BLOCK[server.kind])))
        return recorders[0]  # type: ignore[return-value]

    terms = Terms(at_once, 600.0, 30.0, None)
    backend = await connect(server.url, terms, Known(None, None, None, None), wire_of)
    recorder = recorders[0]
    recorder.trie, recorder.samples = Trie(BLOCK[server.kind]), 0
    return backend, recorder


async def searched(
    servers: Mapping[str, Server], strategy: str, problems: Sequence[Problem], *, by_text: bool
) -> dict[str, Any]:
    """Solve `problems` one after another; what the servers computed for it."""
    backends: dict[str, RemoteBackend] = {}
    recorders: dict[str, Recorder] = {}
    for role, server in servers.items():
        backends[role], recorders[role] = await opened(server, role, by_text, 256)
        flush(server)
    before = {role: counted(server) for role, server in servers.items()}
    effort = Effort(Mode.COT, 4, tokens=256, rounds=2, step_tokens=256, stop_at_wrong=True)
    critic: Any = GenPRM(backends["verifier"], PROFILES["nano"], effort, reduction=Reduction.MIN)
    if by_text:
        critic = OneAtATime(critic)
    idle = Idle(backends)
    results: list[Result] = []
    began, cpu = time.process_time(), {r: cpu_of(s) for r, s in servers.items()}
    async with Engine(LanguagePolicy(backends["policy"]), critic) as engine:
        async with anyio.create_task_group() as group:
            group.start_soon(idle.watch)
            results += await engine.solve_all(problems, strategy)
            group.cancel_scope.cancel()
    document: dict[str, Any] = {
        "right": sum(result.answer is not None for result in results),
        "steps": sum(len(result.tree) for result in results),
        "client CPU": round(time.process_time() - began, 2),
        "idle": idle.shares(),
    }
    for role, server in servers.items():
        prompt, cached = (a - b for a, b in zip(counted(server), before[role], strict=True))
        recorder = recorders[role]
        trie, computed = recorder.trie, prompt - cached
        unique = len(trie.prompt)
        document[role] = {
            "samples": recorder.samples,
            "prompt": round(prompt),
            "sent": trie.sent,
            "computed": round(computed),
            "unique": unique,
            "ratio": round(computed / unique, 3),
            "least": trie.least,
            "to least": round(computed / trie.least, 3),
            "computed a sample": round(computed / recorder.samples, 1),
            "server CPU": round(cpu_of(server) - cpu[role], 1),
        }
    return document


def counted(server: Server) -> tuple[float, float]:
    """Prompt tokens, and of these cached ones, since it started."""
    time.sleep(1.0)  # metrics may lag
    found = []
    for name in COUNTERS[server.kind]:
        try:
            found.append(server.metric(name))
        except AssertionError:  # not told before the first
            found.append(0.0)
    return found[0], found[1]


def example(number: int) -> str:
    """A problem with its solution, as few-shot prompts have them."""
    problem = generate("reduction", 3, 900_000 + number, "test")
    steps = " ".join(step.strip() for step in solution(problem, random.Random(number)))
    return f"{problem.prompt} {steps} "


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="+", choices=list(BLOCK))
    parser.add_argument("--problems", type=int, default=3)
    parser.add_argument("--level", type=int, default=4)
    parser.add_argument(
        "--examples", type=int, default=0, help="worked examples before each problem"
    )
    parser.add_argument("--driven", nargs="+", choices=["ids", "text"], default=["ids", "text"])
    options = parser.parse_args()
    asked = [
        generate("reduction", options.level, 800_000 + n, "test") for n in range(options.problems)
    ]
    shown = "".join(example(n) for n in range(options.examples))
    problems = [Problem(each.id, shown + each.prompt) for each in asked]
    COMMON["VLLM_SERVER_DEV_MODE"] = "1"  # so that its cache can be emptied
    for kind in options.kinds:
        servers: dict[str, Server] = {}
        try:
            for role in ("policy", "verifier"):
                folder = Path(tempfile.mkdtemp(prefix=f"{kind}-{role}-"))
                servers[role] = Server(kind, SHIPPED / role, folder / "log")
                servers[role].start()
            for name, strategy in STRATEGIES.items():
                for by_text in [way == "text" for way in options.driven]:
                    solve = partial(searched, servers, strategy, problems, by_text=by_text)
                    row = {"engine": kind, "search": name, "driven": "text" if by_text else "ids"}
                    print(json.dumps({**row, **anyio.run(solve)}), flush=True)
        finally:
            for server in servers.values():
                server.kill()


if __name__ == "__main__":
    main()
