"""Training rows of the verifiers: conversations about rollouts and slips, packed by length."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from training.loop import Forward
from training.verifier.conversation import Mode, Piece, Solved, consensus, signs, written
from training.verifier.drills import drill
from training.verifier.slips import with_slip
from tts_nano.problems import FAMILIES, Difficulty, NanoProblem, draw_problem, solution

MODES: Final[dict[Mode, float]] = {"code": 0.5, "cot": 0.25, "mixed": 0.15, "direct": 0.1}
SYNTHETIC: Final = (0.5, 0.15)
"""Share of synthetic solutions at the start, and after `WARM_UP`."""
WARM_UP: Final = 0.15
"""Share of training in which there are more synthetic and only short problems."""
LATE: Final = 0.4
"""Share of training after which the analysis of right steps mostly carries no loss."""
DRILLS: Final = 0.15
"""Share of the examples that are drills."""
SLIPPED: Final = 0.65
"""Share of the synthetic solutions that are made wrong."""
OPERATION_WEIGHTS: Final = (3, 4, 4, 3, 2, 1, 1)
_POOL: Final = 48


@dataclass(frozen=True, slots=True)
class Shelf:
    """Rows of one length."""

    rows: int
    length: int


SHELVES: Final = (Shelf(5, 600), Shelf(3, 1024), Shelf(2, 1792))
"""Conversations are packed into the shortest rows they fit in; exchanges past the last are cut."""


@dataclass(frozen=True, slots=True)
class Example:
    """A conversation as token ids, and the weight of each in the loss."""

    tokens: list[int]
    weights: list[float]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows x length each; document 0 is padding."""

    tokens: Tensor
    weights: Tensor
    documents: Tensor


@dataclass(slots=True)
class Stream:
    """An endless, seeded stream of batches."""

    tokenizer: Tokenizer
    rollouts: list[Solved]
    seed: int
    discriminative: bool = False
    """Whether the conversations are those of the discriminative verifier."""
    pools: list[list[Example]] = field(default_factory=lambda: [[] for _ in SHELVES])
    dropped: Counter[str] = field(default_factory=Counter)
    """Solutions used and dropped by the consensus filter, for the record."""
    rng: random.Random = field(init=False)
    _right: list[Solved] = field(init=False)
    _wrong: list[Solved] = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(f"nano verifier {self.seed}")
        self._right = [each for each in self.rollouts if each.wrong is None]
        self._wrong = [each for each in self.rollouts if each.wrong is not None]

    def loss(self, forward: Forward, embedding: Tensor, progress: float) -> tuple[Tensor, int]:
        """Mean cross-entropy, tokens weighted as their pieces are."""
        batch = self.batch(progress)
        hidden = forward(batch.tokens, batch.documents)
        weights = batch.weights[:, 1:]
        counted = weights > 0
        logits = functional.linear(hidden[:, :-1][counted], embedding)
        each = functional.cross_entropy(
            logits.float(), batch.tokens[:, 1:][counted], reduction="none"
        )
        loss = (each * weights[counted]).sum() / weights.sum()
        return loss, int((batch.documents > 0).sum())

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"rng": self.rng.getstate(), "pools": self.pools, "dropped": self.dropped}

    def restore(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.rng.setstate(state["rng"])
        self.pools, self.dropped = state["pools"], state["dropped"]

    def batch(self, progress: float) -> Batch:
        """The next batch, of whichever length has enough examples."""
        while not any(map(self._ready, range(len(SHELVES)))):
            example = self._example(progress)
            fitting = (i for i, each in enumerate(SHELVES) if len(example.tokens) <= each.length)
            self.pools[next(fitting)].append(example)
        index = next(i for i in reversed(range(len(SHELVES))) if self._ready(i))
        shelf, pools = SHELVES[index], self.pools[: index + 1]
        tokens = torch.zeros(shelf.rows, shelf.length, dtype=torch.long)
        weights = torch.zeros(shelf.rows, shelf.length)
        documents = torch.zeros(shelf.rows, shelf.length, dtype=torch.long)
        for row in range(shelf.rows):
            start, document = 0, 1
            while (taken := _take(pools, shelf.length - start, first=start == 0)) is not None:
                end = start + len(taken.tokens)
                tokens[row, start:end] = torch.tensor(taken.tokens)
                weights[row, start:end] = torch.tensor(taken.weights)
                documents[row, start:end] = document
                start, document = end, document + 1
        return Batch(tokens, weights, documents)

    def _ready(self, index: int) -> bool:
        """Long conversations need no choice of partners: short ones fill their rows."""
        return len(self.pools[index]) >= (_POOL if index == 0 else SHELVES[index].rows)

    def _example(self, progress: float) -> Example:
        if not self.discriminative and self.rng.random() < DRILLS:
            return Example(*self._ids(drill(self.rng)))
        while True:
            synthetic = self.rng.random() < SYNTHETIC[progress >= WARM_UP] or not self.rollouts
            found = self._synthetic(progress) if synthetic else self._natural()
            agreed = consensus(found)
            kind = "synthetic" if synthetic else "natural"
            self.dropped[f"{kind} {'kept' if agreed else 'dropped'}"] += 1
            if agreed:
                return self._encoded(found, late=progress >= LATE)

    def _natural(self) -> Solved:
        return self.rng.choice(self._wrong if self.rng.random() < 0.5 else self._right)

    def _synthetic(self, progress: float) -> Solved:
        rng = self.rng
        longest = 3 if progress < WARM_UP else len(OPERATION_WEIGHTS)
        difficulty = Difficulty(
            operations=rng.choices(range(1, longest + 1), OPERATION_WEIGHTS[:longest])[0],
            digits=rng.choices((1, 2, 3, 4), (1, 4, 4, 3))[0],
            largest=rng.choices((99, 999, 9999), (1, 3, 6))[0],
            wide=rng.choice((0.0, 0.5, 1.0)),
        )
        family = rng.choice(FAMILIES)
        draft = draw_problem(family, difficulty, "train", rng)
        problem = NanoProblem("", family, 0, draft.prompt, str(draft.answer))
        steps = solution(problem, rng)
        if rng.random() < SLIPPED:
            return with_slip(problem, steps, rng)
        return Solved(problem, tuple(steps), None)

    def _encoded(self, found: Solved, *, late: bool) -> Example:
        if self.discriminative:
            exchanges = signs(found)
        else:
            mode = self.rng.choices(list(MODES), list(MODES.values()))[0]
            exchanges = written(found, mode, self.rng, late=late)
        tokens: list[int] = []
        weights: list[float] = []
        for exchange in exchanges:
            ids, new = self._ids(exchange)
            if len(tokens) + len(ids) > SHELVES[-1].length:
                break
            tokens += ids
            weights += new
        return Example(tokens, weights)

    def _ids(self, exchange: list[Piece]) -> tuple[list[int], list[float]]:
        tokens: list[int] = []
        weights: list[float] = []
        for piece in exchange:
            ids = self.tokenizer.encode(piece.text).ids
            tokens += ids
            weights += [piece.weight] * len(ids)
        return tokens, weights


def _take(pools: list[list[Example]], room: int, *, first: bool) -> Example | None:
    """The oldest of the longest kind for a fresh row, else the longest that fits, if any does."""
    for pool in reversed(pools):
        if first and pool:
            return pool.pop(0)
        fitting = [i for i, each in enumerate(pool) if len(each.tokens) <= room]
        if fitting:
            return pool.pop(max(fitting, key=lambda i: len(pool[i].tokens)))
    return None
