"""Two ways to serve a model of transformers: its continuous batching, and our batching under it.

    OMP_NUM_THREADS=1 taskset -c 0 python compare.py

Needs torch and transformers. The shipped nano policy, float32, every way in turn in every round,
CPU seconds of the whole process: read the ratios. Nobody ends early. Loads, each of 2,048 tokens:

`siblings`: 32 samples of one new prompt of 300 tokens, 64 tokens each
`problems`: 32 new prompts of 300 tokens, a sample each
`steps`: 32 new prompts of 300 tokens; four times, each path goes on by 16 tokens, as a search does
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, ContinuousBatchingConfig, GenerationConfig

from tts.backends.base import Request
from tts.backends.tokenizer import FolderTokenizer
from tts.backends.transformers.engine import Engine
from tts.backends.transformers.model import CausalModel
from tts_nano.architecture import read_architecture
from tts_nano.checkpoint import Checkpoint
from tts_nano.engine import Engine as NanoEngine
from tts_nano.model import Model

SHIPPED = Path(__file__).parents[3] / "nano" / "tts_nano" / "weights" / "policy"
ROWS, PROMPT, TOKENS, STEPS = 32, 300, 64, 4

Prompt = tuple[int, ...]
Serve = Callable[[Sequence[Prompt], int], list[Prompt]]
"""From prompts and tokens for each to what was written."""


def stepped(engine: Any) -> Serve:
    """One of our engines; a request for each sample."""

    def serve(prompts: Sequence[Prompt], tokens: int) -> list[Prompt]:
        jobs = [engine.submit(Request(each, tokens, (n,))) for n, each in enumerate(prompts)]
        while engine.busy:
            engine.step()
        return [job.samples[0].token_ids for job in jobs]

    return serve


def ours(tokenizer: FolderTokenizer) -> Serve:
    """The backend `transformers`, without its thread."""
    model = CausalModel(SHIPPED, "cpu", "float32")
    return stepped(
        Engine(model, tokenizer, eos_ids=(), context=2048, cache_bytes=1 << 28, at_once=ROWS)
    )


def nano(tokenizer: FolderTokenizer) -> Serve:
    """The embedded engine, for comparison."""
    model = Model(replace(read_architecture(SHIPPED), eos_ids=()), Checkpoint(SHIPPED))
    return stepped(NanoEngine(model, tokenizer, cache_bytes=1 << 28, max_batch=ROWS))


def continuous() -> Serve:
    """Transformers' own, with blocks shared, kept from call to call."""
    model = AutoModelForCausalLM.from_pretrained(SHIPPED, dtype=torch.float32).eval()
    pages = ContinuousBatchingConfig(
        page_size=32,
        num_blocks=8 * ROWS * (PROMPT + TOKENS) // 32,
        max_batch_tokens=1024,
        use_cuda_graph=False,
        use_async_batching=False,
    )

    def serve(prompts: Sequence[Prompt], tokens: int) -> list[Prompt]:
        settings = GenerationConfig(
            do_sample=True, top_k=0, max_new_tokens=tokens, eos_token_id=-1, pad_token_id=0
        )
        outputs = model.generate_batch(
            inputs=[list(prompt) for prompt in prompts],
            generation_config=settings,
            continuous_batching_config=pages,
            persistent_manager=True,
            warmup=False,
        )
        by_number = sorted(outputs.items(), key=lambda each: int(each[0].rpartition("_")[2]))
        return [tuple(output.generated_tokens) for _, output in by_number]

    return serve


def loads(draw: random.Random) -> dict[str, Callable[[Serve], int]]:
    """New prompts for each load: how many tokens it made a way write."""

    def prompt() -> Prompt:
        return tuple(draw.randrange(20, 400) for _ in range(PROMPT))

    one, many, paths = prompt(), [prompt() for _ in range(ROWS)], [prompt() for _ in range(ROWS)]

    def steps(serve: Serve) -> int:
        written, at = 0, paths
        for _ in range(STEPS):
            pieces = serve(at, TOKENS // STEPS)
            written += sum(map(len, pieces))
            at = [before + piece for before, piece in zip(at, pieces, strict=True)]
        return written

    return {
        "siblings": lambda serve: sum(map(len, serve([one] * ROWS, TOKENS))),
        "problems": lambda serve: sum(map(len, serve(many, TOKENS))),
        "steps": steps,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    tokenizer = FolderTokenizer(SHIPPED, 448)
    ways = {
        "ours on transformers": ours(tokenizer),
        "transformers' continuous batching": continuous(),
        "the embedded engine": nano(tokenizer),
    }
    rates: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds + 1):  # the first warms up
        for load, run in loads(random.Random(number)).items():
            for way, serve in ways.items():
                before = time.process_time()
                written = run(serve)
                spent = time.process_time() - before
                assert written == ROWS * TOKENS, (way, load, written)
                if number:
                    rates.setdefault((load, way), []).append(written / spent)
    for (load, way), each in rates.items():
        first = statistics.median(rates[load, "ours on transformers"])
        rate = statistics.median(each)
        spread = f"{min(each):,.0f}-{max(each):,.0f}"
        print(f"{load:9} {way:34} {rate:8,.0f} tokens/CPU s ({spread})", end="")
        print(f"   ours is {first / rate:.2f} x")


if __name__ == "__main__":
    main()
