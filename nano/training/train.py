"""Train the nano policy.

    python -m training.train OUTPUT --tokens 26000000

A run that stopped goes on from its last checkpoint in OUTPUT when started again with the same
arguments.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from tokenizers import Tokenizer

from training import tokenizer as vocabulary
from training.loop import Run, add_options, train
from training.model import Qwen2, Shape
from training.rows import Stream


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    add_options(parser, muon_rate=0.02, adam_rate=2e-3)
    parser.add_argument("--rows", type=int, default=6)
    parser.add_argument("--length", type=int, default=540, help="tokens of a row")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    vocabulary.save(arguments.output)
    tokenizer = Tokenizer.from_file(str(arguments.output / "tokenizer.json"))
    model = Qwen2(Shape(vocabulary=-(-tokenizer.get_vocab_size() // 64) * 64))
    lessons = Stream(tokenizer, arguments.seed, arguments.rows, arguments.length)
    train(Run.begin(model, lessons), arguments)


if __name__ == "__main__":
    main()
