"""What a generative verifier computes beside what it has to, and what a crowd saves over a queue.

python bench.py tries     tokens computed / tokens that have to be
python bench.py crowd     solutions judged side by side / one request at a time, same engine
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import anyio
import numpy as np

from tts.backends.base import Backend, Generation, ModelInfo, Request, Tokenizer
from tts.budget.budget import UNLIMITED
from tts.budget.meter import Meter
from tts.config import make
from tts.engine import Engine
from tts.registry import open_backend
from tts.strategy import Strategy
from tts.types import FREE, Cost, Problem
from tts.verifier import Reduction
from tts_benchmarks.nano_solutions import solutions
from tts_benchmarks.processbench import Item, examine_all
from tts_nano.arrays import Floats
from tts_nano.backend import SHIPPED
from tts_nano.model import Model
from tts_nano.problems import FAMILIES, MIDDLE, generate
from tts_verifiers.genprm import NANO, PROFILES, GenPRM
from tts_verifiers.genprm.sandbox import SandboxRunner

_FIRST_SEED = 700_000  # apart from the problems of other studies on the same split
STRATEGIES = ("best_of_n:n=16", "beam:n=16,width=4")


class Necessary:
    """What has to be computed of requests, in the order in which they are answered.

    Each token that is drawn, and each token of a prompt that no earlier request has had at the same
    place: what a search draws again is drawn, but what it has drawn or read before is known.
    """

    def __init__(self) -> None:
        self.tokens = 0
        self._root: dict[int, Any] = {}

    def add(self, prompt: Sequence[int], outputs: Sequence[Sequence[int]]) -> None:
        """One request that was answered."""
        end, new = _walk(self._root, prompt)
        self.tokens += new
        for output in outputs:
            self.tokens += len(output)
            _walk(end, output[:-1])  # the last token was drawn and not read


def _walk(node: dict[int, Any], ids: Sequence[int]) -> tuple[dict[int, Any], int]:
    """The place in the trie that `ids` lead to, and how many had to be put there."""
    new = 0
    for each in ids:
        below = node.get(each)
        if below is None:
            below = node[each] = {}
            new += 1
        node = below
    return node, new


@dataclass
class Watched:
    """An engine, and what it was asked. Implements `Backend`."""

    backend: Backend
    necessary: Necessary = field(default_factory=Necessary)
    cost: Cost = FREE

    @property
    def model(self) -> ModelInfo:
        return self.backend.model

    @property
    def tokenizer(self) -> Tokenizer:
        return self.backend.tokenizer

    async def generate(self, request: Request, meter: Meter) -> Generation:
        """As the engine does."""
        own = Meter()
        try:
            generation = await self.backend.generate(request, own)
        finally:
            meter.add(own)
            self.cost += own.cost
        self.necessary.add(request.prompt, [each.token_ids for each in generation.samples])
        return generation

    async def aclose(self) -> None:
        """Of the engine."""
        await self.backend.aclose()


async def tries(problems: int, votes: int) -> dict[str, object]:
    """Computed by the engine's own count, beside the tries of what it was asked and said."""
    found: dict[str, object] = {}
    drawn = [
        generate(family, MIDDLE, seed, "test")
        for family in FAMILIES
        for seed in range(_FIRST_SEED, _FIRST_SEED + problems)
    ]
    for name in STRATEGIES:
        strategy: Strategy = make("strategies", name)
        watched = Watched(open_backend("nano:verifier"))
        judge = GenPRM(
            watched,
            PROFILES["nano"],
            replace(NANO, votes=votes),
            runner=SandboxRunner(),
            reduction=Reduction.MIN,
        )
        async with Engine("nano", judge) as engine:
            await engine.solve_all([Problem(p.id, p.prompt) for p in drawn], strategy, UNLIMITED)
        needed = watched.necessary.tokens
        found[f"{name}, {votes} votes"] = {
            "requests": watched.cost.calls,
            "tokens asked and said": watched.cost.prompt_tokens + watched.cost.output_tokens,
            "computed": watched.cost.computed_tokens,
            "of this again": watched.cost.recomputed_tokens,
            "necessary": needed,
            "computed / necessary": round(watched.cost.computed_tokens / needed, 3),
        }
    return found


async def crowd(each: int, alone: int, place: str, at_once: int) -> dict[str, object]:
    """The evaluation of nano ProcessBench, side by side and in a queue, on one engine."""
    items: list[Item] = []
    async with Engine("nano") as engine:
        for family in FAMILIES:
            items += await solutions(engine, family, each)
    queue = items[:: max(1, len(items) // alone)][:alone]
    rest = [item for item in items if item not in queue]  # so that nothing of it is in the cache
    verifier = make("verifiers", f"genprm-nano:temperature=0,backend=[{place}]")
    found: dict[str, object] = {}
    rates: dict[str, tuple[float, float]] = {}
    async with verifier:
        for name, some, most in (("one at a time", queue, 1), ("side by side", rest, at_once)):
            begun, worked = time.perf_counter(), time.process_time()
            findings = await examine_all(verifier, some, at_once=most)
            wall, spent = time.perf_counter() - begun, time.process_time() - worked
            tokens = sum((finding.cost for finding in findings), FREE).output_tokens
            rates[name] = (tokens / wall, tokens / spent)
            found[name] = {
                "solutions": len(some),
                "output tokens": tokens,
                "tokens a second": round(tokens / wall),
                "tokens a processor second": round(tokens / spent),
            }
    queued, crowded = rates["one at a time"], rates["side by side"]
    found["side by side / one at a time"] = {
        "a second": round(crowded[0] / queued[0], 1),
        "a processor second": round(crowded[1] / queued[1], 1),
    }
    if not place.startswith("nano:"):
        return found
    for name, context in (("matrix products", 0), ("and reading 700 keys and values", 700)):
        rate = ceiling(64, context)
        found[f"{name} alone, 64 rows"] = {
            "tokens a second": round(rate),
            "/ one at a time": round(rate / queued[0], 1),
        }
    return found


def ceiling(rows: int, context: int) -> float:
    """Tokens a second of decoding `rows` samples where nothing else is computed.

    The products with the model's weights, and the keys and values of `context` tokens a sample read
    once, as one long product: what no order of requests can exceed on this machine.
    """
    model = Model.load(SHIPPED / "verifier")
    a = model.architecture
    kept = np.ones((a.layers, 2 * rows * a.kv_heads * context, a.head), np.float32)
    reader = np.ones(a.head, np.float32)

    def attend(layer: int, q: Floats, k: Floats, v: Floats, out: Floats) -> None:
        out[:] = (kept[layer] @ reader)[-1:].sum()

    tokens, positions = np.arange(rows), np.full(rows, context)
    times = []
    for _ in range(50):
        begun = time.perf_counter()
        model.logits(model.forward(tokens, positions, attend))
        times.append(time.perf_counter() - begun)
    return rows / median(times)


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("tries", "crowd"))
    parser.add_argument("--problems", type=int, default=8, help="of each family (tries)")
    parser.add_argument("--votes", type=int, default=4, help="on each step (tries)")
    parser.add_argument("--each", type=int, default=60, help="of each kind and family (crowd)")
    parser.add_argument("--backend", default="nano:verifier", help="of the verifier (crowd)")
    parser.add_argument("--at-once", type=int, default=96, help="solutions side by side (crowd)")
    parser.add_argument("--alone", type=int, default=18, help="solutions in the queue (crowd)")
    options = parser.parse_args()
    if options.what == "tries":
        result = anyio.run(tries, options.problems, options.votes)
    else:
        result = anyio.run(crowd, options.each, options.alone, options.backend, options.at_once)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
