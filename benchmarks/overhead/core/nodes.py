"""CPU time of the orchestrator itself, over an engine that answers at once.

    python benchmarks/overhead/core/nodes.py [--json]

Prints, for trees of 1,000 to 100,000 nodes, microseconds of CPU a node, engine script included and
apart; then one process with 2,000 problems at once. Garbage is collected as in the command `tts`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import anyio

from tts import Engine, LanguagePolicy, Problem
from tts.backends.base import Request
from tts.backends.fake import FakeBackend
from tts.cli import calm_collector
from tts.function import FunctionVerifier
from tts.strategy import Search
from tts_strategies.beam import Beam


@dataclass(frozen=True)
class Grow:
    """Expands until there are `nodes` nodes: as wide as 64, and never deeper than 20."""

    nodes: int
    needs_verifier: ClassVar[bool] = True

    async def run(self, search: Search) -> None:
        grown = 0
        while grown < self.nodes:
            level = [search.root]
            while level and level[0].depth < 20 and grown < self.nodes:
                children = await search.expand_all({node: 64 // len(level) for node in level})
                grown += len(children)
                open_ones = [node for node in children if not node.finished]
                level = sorted(open_ones, key=lambda node: node.rank, reverse=True)[:16]


def endless(text: str, seed: int) -> str:
    return f"{seed % 10_007} is next\n\nmore"


async def score(prompt: str, steps: Sequence[str]) -> list[float]:
    return [hash(steps[-1]) % 1000 / 1000] * len(steps)


async def tree(nodes: int) -> float:
    """Microseconds of CPU a node."""
    async with Engine(LanguagePolicy(FakeBackend(endless)), FunctionVerifier(score)) as engine:
        begin = time.process_time()
        result = await engine.solve("Q", Grow(nodes))
        return (time.process_time() - begin) / len(result.tree) * 1e6


async def script(nodes: int) -> float:
    """Microseconds of CPU that the scripted engine itself takes a call."""
    from tts.budget.meter import Meter

    backend = FakeBackend(endless)
    prompt = backend.tokenizer.encode("user: Q\n-> " + "1234 is next\n\n" * 10)
    begin = time.process_time()
    for seed in range(nodes):
        await backend.generate(Request(prompt, 64, seeds=(seed,), stop=("\n\n",)), Meter())
    return (time.process_time() - begin) / nodes * 1e6


async def crowd(problems: int) -> tuple[float, int]:
    """CPU seconds of many problems at once, and the nodes that they grew."""
    async with Engine(LanguagePolicy(FakeBackend()), FunctionVerifier(score)) as engine:
        asked = [Problem(f"p{i}", f"Question {i}?") for i in range(problems)]
        begin = time.process_time()
        results = await engine.solve_all(asked, Beam(n=8, width=4), at_once=problems)
        return time.process_time() - begin, sum(len(result.tree) for result in results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    calm_collector()
    sizes = (1_000, 10_000, 100_000)
    per_call = anyio.run(script, 5_000)
    per_node = {nodes: anyio.run(tree, nodes) for nodes in sizes}
    seconds, nodes = anyio.run(crowd, 2_000)
    if as_json:
        print(json.dumps({"engine_us": per_call, "node_us": per_node, "crowd_s": seconds}))
        return
    print(f"scripted engine: {per_call:.0f} us a call")
    for size, microseconds in per_node.items():
        own = microseconds - per_call
        print(f"{size:>7} nodes: {microseconds:.0f} us a node, {own:.0f} without the engine")
    print(f"2000 problems at once: {seconds:.1f} s of CPU, {seconds / nodes * 1e6:.0f} us a node")


if __name__ == "__main__":
    main()
