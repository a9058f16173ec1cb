"""Train a nano verifier: one uninterrupted, token-budgeted schedule on one CPU thread.

    python -m training.verifier.train OUTPUT --rollouts ROLLOUTS.jsonl --tokens 11000000 \
        --start tts_nano/weights/policy

The schedule is the policy's: a constant rate for 40 % of the tokens, then linear to 2 %. A run that
stopped goes on from its last checkpoint in OUTPUT when started again with the same arguments.
"""

from __future__ import annotations

import argparse
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch.nn import functional

from training.model import Qwen2, Shape, export, load
from training.optimizer import Muon
from training.tokenizer import END_OF_TEXT, TURN_END
from training.train import CHECKPOINT, rate
from training.verifier.rollouts import read
from training.verifier.rows import Stream


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--rollouts", type=Path, nargs="+", required=True)
    parser.add_argument("--tokens", type=int, required=True, help="training tokens, all rows")
    parser.add_argument("--tokenizer", type=Path, default=Path("tts_nano/weights/policy"))
    parser.add_argument("--start", type=Path, help="weights to start from")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=192)
    parser.add_argument("--feed-forward", type=int, default=768)
    parser.add_argument("--heads", type=int, default=6)
    parser.add_argument("--discriminative", action="store_true", help="+ or - after each step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--muon-rate", type=float, default=0.015)
    parser.add_argument("--adam-rate", type=float, default=1.5e-3)
    parser.add_argument("--save-every", type=int, default=1_000_000, help="tokens")
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
    run = Run(
        model,
        Muon(model.matrices()),
        torch.optim.AdamW(model.others(), betas=(0.9, 0.98), weight_decay=0.0, fused=True),
        Stream(tokenizer, rollouts, arguments.seed, arguments.discriminative),
    )
    run.resume(arguments.output)
    train(run, arguments)


@dataclass(slots=True)
class Run:
    """Everything that changes during training, and so everything a checkpoint holds."""

    model: Qwen2
    muon: Muon
    adam: torch.optim.AdamW
    stream: Stream
    seen: int = 0
    """Tokens trained on, padding not counted."""
    step: int = 0

    def save(self, folder: Path) -> None:
        """Write the weights, and a checkpoint in place of the last one."""
        state = {
            "model": self.model.state_dict(),
            "muon": self.muon.averages,
            "adam": self.adam.state_dict(),
            "rng": self.stream.rng.getstate(),
            "pools": self.stream.pools,
            "dropped": self.stream.dropped,
            "seen": self.seen,
            "step": self.step,
        }
        temporary = folder / "checkpoint.new"
        torch.save(state, temporary)
        temporary.replace(folder / CHECKPOINT)
        ids = self.stream.tokenizer.get_vocab()
        export(self.model, folder, ids[TURN_END], ids[END_OF_TEXT])

    def resume(self, folder: Path) -> None:
        """Take on the state of the checkpoint in the folder, if there is one."""
        if not (folder / CHECKPOINT).exists():
            return
        # The file is this program's own: reading it is as safe as running this program.
        state: dict[str, Any] = torch.load(folder / CHECKPOINT, weights_only=False)
        self.model.load_state_dict(state["model"])
        self.muon.averages = state["muon"]
        self.adam.load_state_dict(state["adam"])
        self.stream.rng.setstate(state["rng"])
        self.stream.pools, self.stream.dropped = state["pools"], state["dropped"]
        self.seen, self.step = state["seen"], state["step"]


def train(run: Run, arguments: argparse.Namespace) -> None:
    """Train until the tokens are spent."""
    print(f"{sum(each.numel() for each in run.model.parameters())} parameters", flush=True)
    forward = torch.compile(run.model, dynamic=False)
    started, start_seen, losses = time.process_time(), run.seen, []
    next_save = run.seen + arguments.save_every
    while run.seen < arguments.tokens:
        progress = run.seen / arguments.tokens
        scale = rate(run.step, progress)
        batch = run.stream.batch(progress)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = forward(batch.tokens, batch.documents)
            weights = batch.weights[:, 1:]
            counted = weights > 0
            logits = functional.linear(hidden[:, :-1][counted], run.model.embedding)
            each = functional.cross_entropy(
                logits.float(), batch.tokens[:, 1:][counted], reduction="none"
            )
            loss = (each * weights[counted]).sum() / weights.sum()
        loss.backward()  # type: ignore[no-untyped-call]
        run.muon.step(arguments.muon_rate * scale)
        for group in run.adam.param_groups:
            group["lr"] = arguments.adam_rate * scale
        run.adam.step()
        run.adam.zero_grad(set_to_none=True)
        run.step += 1
        run.seen += int((batch.documents > 0).sum())
        losses.append(loss.item())
        if run.step % 100 == 0:
            speed = (run.seen - start_seen) / (time.process_time() - started)
            print(
                f"step {run.step} tokens {run.seen / 1e6:.2f}M rate {scale:.3f}"
                f" loss {sum(losses) / len(losses):.4f} tokens/cpu-second {speed:.0f}",
                flush=True,
            )
            losses.clear()
        if run.seen >= min(next_save, arguments.tokens):
            next_save += arguments.save_every
            run.save(arguments.output)
    print(dict(run.stream.dropped), flush=True)


if __name__ == "__main__":
    main()
