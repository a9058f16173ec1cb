"""Train a nano verifier.

    python -m training.verifier.train OUTPUT --rollouts ROLLOUTS.jsonl --tokens 8000000 \
        --start tts_nano/weights/policy

A run that stopped goes on from its last checkpoint in OUTPUT when started again with the same
arguments.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from tokenizers import Tokenizer

from training.loop import Run, add_options, train
from training.model import Qwen2, Shape, load
from training.verifier.rollouts import read
from training.verifier.rows import Stream


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--rollouts", type=Path, nargs="+", required=True)
    add_options(parser, muon_rate=0.015, adam_rate=1.5e-3)
    parser.add_argument("--tokenizer", type=Path, default=Path("tts_nano/weights/policy"))
    parser.add_argument("--start", type=Path, help="weights to start from")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=192)
    parser.add_argument("--feed-forward", type=int, default=768)
    parser.add_argument("--heads", type=int, default=6)
    parser.add_argument("--discriminative", action="store_true", help="+ or - after each step")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(arguments.tokenizer / name, arguments.output / name)
    tokenizer = Tokenizer.from_file(str(arguments.output / "tokenizer.json"))
    if arguments.start is not None:
        model = load(arguments.start)
    else:
        model = Qwen2(
            Shape(
                vocabulary=-(-tokenizer.get_vocab_size() // 64) * 64,
                hidden=arguments.hidden,
                layers=arguments.layers,
                feed_forward=arguments.feed_forward,
                heads=arguments.heads,
            )
        )
    rollouts = [each for path in arguments.rollouts for each in read(path)]
    lessons = Stream(tokenizer, rollouts, arguments.seed, arguments.discriminative)
    train(Run.begin(model, lessons), arguments)
    print(dict(lessons.dropped), flush=True)


if __name__ == "__main__":
    main()
