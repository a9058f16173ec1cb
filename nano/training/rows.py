"""Training rows of the policy: random problems with right solutions, packed into fixed lengths."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from training.loop import Forward
from training.tokenizer import TURN_END
from tts_nano.problems import DELIMITER, Difficulty, NanoProblem, draw_problem, solution

IGNORED: Final = -100
"""Label of tokens without loss."""

FAMILY_WEIGHTS: Final = {"reduction": 0.3, "words": 0.35, "equations": 0.35}
OPERATION_WEIGHTS: Final = (2, 3, 4, 4, 4, 4, 3, 3, 2, 2)
"""How often problems of 1, 2, ... operations are drawn; many more short ones at the start."""
WARM_UP: Final = 0.12
"""Share of training in which at most four operations are drawn."""
_POOL: Final = 64


@dataclass(frozen=True, slots=True)
class Example:
    """One conversation; the loss counts from `output_from` on."""

    tokens: list[int]
    output_from: int


@dataclass(slots=True)
class Stream:
    """An endless, seeded stream of packed batches."""

    tokenizer: Tokenizer
    seed: int
    rows: int
    length: int
    pool: list[Example] = field(default_factory=list)
    rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(f"nano policy {self.seed}")

    def loss(self, forward: Forward, embedding: Tensor, progress: float) -> tuple[Tensor, int]:
        """Mean cross-entropy of the tokens of outputs."""
        tokens, labels, documents = self.batch(progress)
        hidden = forward(tokens, documents)
        counted = labels[:, 1:] != IGNORED
        logits = functional.linear(hidden[:, :-1][counted], embedding)
        loss = functional.cross_entropy(logits.float(), labels[:, 1:][counted])
        return loss, int((documents > 0).sum())

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"rng": self.rng.getstate(), "pool": self.pool}

    def restore(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.rng.setstate(state["rng"])
        self.pool = state["pool"]

    def batch(self, progress: float) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens, labels and document numbers (0 = padding), each rows x length."""
        tokens = torch.zeros(self.rows, self.length, dtype=torch.long)
        labels = torch.full((self.rows, self.length), IGNORED)
        documents = torch.zeros(self.rows, self.length, dtype=torch.long)
        for row in range(self.rows):
            start, document = 0, 1
            while (example := self._take(self.length - start, progress)) is not None:
                end = start + len(example.tokens)
                tokens[row, start:end] = torch.tensor(example.tokens)
                output = start + example.output_from
                labels[row, output:end] = tokens[row, output:end]
                documents[row, start:end] = document
                start, document = end, document + 1
        return tokens, labels, documents

    def _take(self, room: int, progress: float) -> Example | None:
        """The oldest example for a fresh row, else the longest that fits; `None` if none does."""
        while len(self.pool) < _POOL:
            example = self._example(progress)
            if len(example.tokens) <= self.length:
                self.pool.append(example)
        if room == self.length:
            return self.pool.pop(0)
        fitting = [i for i, each in enumerate(self.pool) if len(each.tokens) <= room]
        if not fitting:
            return None
        return self.pool.pop(max(fitting, key=lambda i: len(self.pool[i].tokens)))

    def _example(self, progress: float) -> Example:
        rng = self.rng
        family = rng.choices(list(FAMILY_WEIGHTS), list(FAMILY_WEIGHTS.values()))[0]
        longest = 4 if progress < WARM_UP else len(OPERATION_WEIGHTS)
        difficulty = Difficulty(
            operations=rng.choices(range(1, longest + 1), OPERATION_WEIGHTS[:longest])[0],
            digits=rng.choices((1, 2, 3, 4), (1, 4, 4, 3))[0],
            largest=rng.choices((99, 999, 9999), (1, 3, 6))[0],
            wide=rng.choice((0.0, 0.5, 1.0)),
        )
        draft = draw_problem(family, difficulty, "train", rng)
        problem = NanoProblem("", family, 0, draft.prompt, str(draft.answer))
        steps = solution(problem, rng)
        prompt = f"<|im_start|>user\n{problem.prompt}{TURN_END}\n<|im_start|>assistant\n"
        asked = self.tokenizer.encode(prompt).ids
        answered = self.tokenizer.encode(DELIMITER.join(steps) + TURN_END).ids
        return Example(asked + answered, len(asked))
