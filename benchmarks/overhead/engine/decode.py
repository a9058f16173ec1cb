"""The nano engine against transformers: the same weights, one core each, CPU seconds.

    OMP_NUM_THREADS=1 taskset -c 0 python decode.py speed
    python decode.py prefixes
    python decode.py memory

`speed` needs torch and transformers; the others only the engine.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tts.backends.base import Request
from tts.backends.tokenizer import FolderTokenizer
from tts_nano import blas
from tts_nano.architecture import read_architecture
from tts_nano.checkpoint import Checkpoint
from tts_nano.engine import Engine
from tts_nano.job import Job
from tts_nano.model import Model

SHIPPED = Path(__file__).parents[3] / "nano" / "tts_nano" / "weights" / "policy"
QUESTION = "Evaluate (37 + 48) * 3 - 59 * 4."


@dataclass
class Opened:
    """An engine whose samples never end by themselves, and what passed through its model."""

    folder: Path
    max_batch: int
    cache_bytes: int = 256 << 20
    endless: bool = True
    computed: int = 0
    exact: bool = False
    parameters: int = 0

    def __post_init__(self) -> None:
        architecture = read_architecture(self.folder)
        if self.endless:
            architecture = replace(architecture, eos_ids=())
        model = Model(architecture, Checkpoint(self.folder))
        self.tokenizer = FolderTokenizer(self.folder, architecture.vocabulary)
        self.engine = Engine(
            model, self.tokenizer, cache_bytes=self.cache_bytes, max_batch=self.max_batch
        )
        self.exact, self.parameters = model.exact, model.parameters
        inner = model.forward

        def counted(tokens: Any, positions: Any, attend: Any) -> Any:
            self.computed += len(tokens)
            return inner(tokens, positions, attend)

        model.forward = counted  # type: ignore[method-assign]

    def serve(self, requests: list[Request]) -> list[Job]:
        jobs = [self.engine.submit(request) for request in requests]
        while self.engine.busy:
            self.engine.step()
        self.engine.check_idle()
        return jobs


def prompt_of(tokenizer: FolderTokenizer, length: int, draw: random.Random) -> tuple[int, ...]:
    """Questions as the shipped policy knows them, or tokens of no meaning for random weights."""
    if tokenizer.encode("t1") == (1,):
        return tuple(draw.randrange(tokenizer.vocabulary) for _ in range(length))
    text = ""
    while len(ids := tokenizer.encode(text)) < length:
        text += f"Evaluate ({draw.randrange(99)} + {draw.randrange(99)}) * {draw.randrange(9)}.\n\n"
    return ids[-length:]


def random_model(folder: Path, feed_forward: int = 512, vocabulary: int = 400) -> Path:
    """Weights of no meaning, in the shape of the shipped ones."""
    import torch
    from tokenizers import Tokenizer, models
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=192,
        num_hidden_layers=4,
        num_attention_heads=6,
        num_key_value_heads=2,
        intermediate_size=feed_forward,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        initializer_range=0.08,
        bos_token_id=None,
        eos_token_id=None,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    words = {f"t{id}": id for id in range(vocabulary)}
    Tokenizer(models.WordLevel(words, unk_token="t0")).save(str(folder / "tokenizer.json"))
    saved = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**saved, "tie_word_embeddings": True}))
    return folder


def speed(folder: Path, siblings: int, prefix: int, tokens: int, rounds: int) -> None:
    """Tokens a CPU second: siblings of one prompt, none of them known before."""
    import torch
    from transformers import AutoModelForCausalLM, ContinuousBatchingConfig, GenerationConfig

    torch.set_num_threads(1)
    opened = Opened(folder, siblings, cache_bytes=32 << 20)  # full, and evicting, after a round
    draw = random.Random(0)
    fresh = [prompt_of(opened.tokenizer, prefix, draw) for _ in range(rounds + 1)]

    def ours(prompt: tuple[int, ...]) -> int:
        requests = [Request(prompt, tokens, (seed,), stop=("§",)) for seed in range(siblings)]
        return sum(job.output_tokens for job in opened.serve(requests))

    def generate(dtype: Any) -> Callable[[tuple[int, ...]], int]:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
        settings = GenerationConfig(
            do_sample=True, top_k=0, max_new_tokens=tokens, min_new_tokens=tokens,
            eos_token_id=None, pad_token_id=0,
        )  # fmt: skip

        def run(prompt: tuple[int, ...]) -> int:
            ids = torch.tensor([prompt] * siblings)
            out = model.generate(
                ids, attention_mask=torch.ones_like(ids), generation_config=settings
            )
            return int(out.shape[0] * (out.shape[1] - prefix))

        return run

    def continuous() -> Callable[[tuple[int, ...]], int]:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        settings = GenerationConfig(
            do_sample=True, top_k=0, max_new_tokens=tokens, eos_token_id=-1,
            pad_token_id=0,
        )  # fmt: skip
        pages = ContinuousBatchingConfig(
            page_size=32, num_blocks=siblings * (prefix + tokens) // 32 + 64,
            max_batch_tokens=1024, use_cuda_graph=False, use_async_batching=False,
        )  # fmt: skip

        def run(prompt: tuple[int, ...]) -> int:
            outputs = model.generate_batch(
                inputs=[list(prompt)] * siblings,
                generation_config=settings,
                continuous_batching_config=pages,
                warmup=False,
            )
            return sum(len(each.generated_tokens) for each in outputs.values())

        return run

    engines: dict[str, Callable[[tuple[int, ...]], int]] = {
        "tts_nano": ours,
        "transformers generate, float32": generate(torch.float32),
        "transformers generate, bfloat16": generate(torch.bfloat16),
        "transformers continuous batching": continuous(),
    }
    rates: dict[str, list[float]] = {name: [] for name in engines}
    with torch.inference_mode():
        for number in range(rounds + 1):  # the first warms up
            for name, run in engines.items():
                if name.endswith("continuous batching") and number != 1:
                    continue  # a minute each
                before = time.process_time()
                produced = run(fresh[number])
                if number:
                    rates[name].append(produced / (time.process_time() - before))
    print(f"{siblings} siblings, prefix {prefix}, {tokens} tokens each; ", end="")
    print(f"{opened.parameters:,} parameters; exact: {opened.exact}")
    first = statistics.median(rates["tts_nano"])
    for name, each in rates.items():
        rate = statistics.median(each)
        spread = f"{min(each):,.0f}-{max(each):,.0f}"
        print(f"{name:34} {rate:9,.0f} tokens/CPU s ({spread})   ours is {first / rate:.1f} x")


def prefixes(folder: Path) -> None:
    """How often each token of a search's trie passes through the model."""
    opened = Opened(folder, 64, endless=False)
    prompt = opened.tokenizer.chat([{"role": "user", "content": QUESTION}])
    jobs = opened.serve([Request(prompt, 400, (seed,)) for seed in range(64)])
    outputs = sum(job.output_tokens for job in jobs)
    report("Best-of-64, one request each", opened, jobs, len(prompt), outputs)
    opened = Opened(folder, 64, endless=False)
    jobs, outputs = [], 0
    stop = ("\n\n",)
    level = opened.serve([Request(prompt, 96, (seed,), stop=stop) for seed in range(64)])
    while level:
        jobs += level
        outputs += sum(job.output_tokens for job in level)
        going = [job for job in level if job.samples[0] and job.samples[0].ending.value == "stop"]
        paths = [job.request.prompt + job.generation.samples[0].token_ids for job in going[:16]]
        level = opened.serve(
            [
                Request(path, 96, (len(jobs) + 4 * number + k,), stop=stop)
                for number, path in enumerate(paths)
                for k in range(4)
            ]
        )
    report("beam 16 x 4, one request a step", opened, jobs, len(prompt), outputs)


def report(name: str, opened: Opened, jobs: list[Job], prompt: int, outputs: int) -> None:
    sent = sum(job.prompt_tokens for job in jobs)
    computed = sum(job.prompt_tokens - job.cached_tokens for job in jobs)
    unique = prompt + outputs
    print(
        f"{name}: {len(jobs)} requests, {sent:,} prompt tokens sent, {computed:,} computed; "
        f"{opened.computed:,} tokens passed through the model for {unique:,} of the trie: "
        f"{opened.computed / unique:.3f}"
    )


def memory(folder: Path, requests: int, limit: int) -> None:
    """Memory while many requests pass through a small cache."""
    opened = Opened(folder, 32, cache_bytes=limit, endless=False)
    draw = np.random.default_rng(0)
    base = resident()
    peak = 0
    started = time.process_time()
    for first in range(0, requests, 100):
        batch = [
            Request(tuple(draw.integers(3, 250, int(draw.integers(2, 60))).tolist()), 4, (number,))
            for number in range(first, first + 100)
        ]
        opened.serve(batch)
        peak = max(peak, resident() - base)
    seconds = time.process_time() - started
    print(
        f"{requests:,} requests in {seconds:.1f} CPU s: cache limit {limit >> 20} MiB, "
        f"resident memory grew by at most {peak / 2**20:.1f} MiB "
        f"({opened.engine.cache.tree.evictions:,} evictions)"
    )


def resident() -> int:
    """Bytes."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["speed", "prefixes", "memory"])
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--random", action="store_true", help="random weights, 1.7 M parameters")
    parser.add_argument("--siblings", type=int, default=64)
    parser.add_argument("--prefix", type=int, default=300)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--limit", type=int, default=32 << 20)
    given = parser.parse_args()
    blas.set_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = random_model(Path(scratch)) if given.random else given.model
        if given.what == "speed":
            speed(folder, given.siblings, given.prefix, given.tokens, given.rounds)
        elif given.what == "prefixes":
            prefixes(folder)
        else:
            memory(folder, given.requests, given.limit)


if __name__ == "__main__":
    main()
