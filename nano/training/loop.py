"""The training loop of all nano models: one uninterrupted, token-budgeted schedule on one thread.

The learning rate is constant for 40 % of the tokens and then falls linearly to 2 %; undecayed
checkpoints mislead. A run that stopped goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import torch
from tokenizers import Tokenizer
from torch import Tensor

from training.model import Qwen2, export
from training.optimizer import Muon
from training.tokenizer import END_OF_TEXT, TURN_END

CONSTANT: Final = 0.4
"""Share of the tokens at the full learning rate."""
FLOOR: Final = 0.02
"""Last learning rate, as a share of the first."""
WARM_STEPS: Final = 50
CHECKPOINT: Final = "checkpoint.pt"

Forward = Callable[[Tensor, Tensor], Tensor]
"""Final hidden states of tokens (rows x length) in documents."""


class Lessons(Protocol):
    """An endless, seeded stream of batches, and what is to be learnt from them."""

    tokenizer: Tokenizer

    def loss(self, forward: Forward, embedding: Tensor, progress: float) -> tuple[Tensor, int]:
        """The loss on the next batch, and its tokens without padding; `progress` is in [0, 1]."""
        ...

    def state(self) -> dict[str, Any]:
        """All that decides the batches to come."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from such a state."""
        ...


def add_options(parser: argparse.ArgumentParser, muon_rate: float, adam_rate: float) -> None:
    """What can be chosen in every training."""
    parser.add_argument("--tokens", type=int, required=True, help="training tokens, all rows")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--muon-rate", type=float, default=muon_rate)
    parser.add_argument("--adam-rate", type=float, default=adam_rate)
    parser.add_argument("--save-every", type=int, default=1_000_000, help="tokens")


def rate(step: int, progress: float) -> float:
    """Share of the full learning rate at a step, `progress` 0..1 through the tokens."""
    return min(1.0, (step + 1) / WARM_STEPS) * max(FLOOR, min(1.0, (1 - progress) / (1 - CONSTANT)))


@dataclass(slots=True)
class Run:
    """Everything that changes during training, and so everything a checkpoint holds."""

    model: Qwen2
    muon: Muon
    adam: torch.optim.AdamW
    lessons: Lessons
    seen: int = 0
    """Tokens trained on, padding not counted."""
    step: int = 0

    @classmethod
    def begin(cls, model: Qwen2, lessons: Lessons) -> Run:
        """A run that has not trained yet."""
        adam = torch.optim.AdamW(model.others(), betas=(0.9, 0.98), weight_decay=0.0, fused=True)
        return cls(model, Muon(model.matrices()), adam, lessons)

    def save(self, folder: Path) -> None:
        """Write the weights, and a checkpoint in place of the last one."""
        state = {
            "model": self.model.state_dict(),
            "muon": self.muon.averages,
            "adam": self.adam.state_dict(),
            "lessons": self.lessons.state(),
            "seen": self.seen,
            "step": self.step,
        }
        temporary = folder / "checkpoint.new"
        torch.save(state, temporary)
        temporary.replace(folder / CHECKPOINT)
        ids = self.lessons.tokenizer.get_vocab()
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
        self.lessons.restore(state["lessons"])
        self.seen, self.step = state["seen"], state["step"]


def train(run: Run, arguments: argparse.Namespace) -> None:
    """Train until the tokens are spent, from the output folder's checkpoint if there is one."""
    run.resume(arguments.output)
    print(f"{sum(each.numel() for each in run.model.parameters())} parameters", flush=True)
    forward = torch.compile(run.model, dynamic=False)
    started, start_seen, losses = time.process_time(), run.seen, []
    next_save = run.seen + arguments.save_every
    while run.seen < arguments.tokens:
        progress = run.seen / arguments.tokens
        scale = rate(run.step, progress)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss, tokens = run.lessons.loss(forward, run.model.embedding, progress)
        loss.backward()  # type: ignore[no-untyped-call]
        run.muon.step(arguments.muon_rate * scale)
        for group in run.adam.param_groups:
            group["lr"] = arguments.adam_rate * scale
        run.adam.step()
        run.adam.zero_grad(set_to_none=True)
        run.step += 1
        run.seen += tokens
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
