"""Many verifications at once: all votes on all solutions write their critique of a step in step.

The dialogue is the product's: what it forces is forced here, what it samples is sampled, code is
run, the verdict is read off the probabilities of Yes and No. Votes on a step share the conversation
before it, and go on from the first vote that said what the majority did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from training.model import Qwen2
from training.sample import Cache, forward
from training.verifier import dialogue
from training.verifier.conversation import Solved
from training.verifier.execute import run

Way = Literal["direct", "cot", "code", "imagined"]
"""How a verdict is reached; `imagined` is code whose output the verifier writes itself."""

TURN_TOKENS: Final = 240
"""Most tokens of a critique; longer ones are cut, and the verdict is forced."""
CONTEXT: Final = 2048


@dataclass(slots=True)
class Judged:
    """The votes on a solution."""

    solved: Solved
    scores: list[list[float]] = field(default_factory=list)
    """P(right) of every vote, step by step up to the first step that the majority calls wrong."""
    critiques: list[str] = field(default_factory=list)
    """The one that the conversation went on from, step by step."""
    tokens: int = 0
    """Sampled, all votes together."""

    @property
    def wrong(self) -> int | None:
        """The first step that is wrong by the mean of its votes."""
        for index, votes in enumerate(self.scores):
            if sum(votes) / len(votes) < 0.5:
                return index
        return None


class Judge:
    """Verifies with one model in one way."""

    def __init__(
        self,
        model: Qwen2,
        tokenizer: Tokenizer,
        way: Way,
        votes: int = 1,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.way = way
        self.votes = votes
        self.temperature = temperature
        self.generator = torch.Generator().manual_seed(seed)
        ids = tokenizer.get_vocab()
        self.verdicts = torch.tensor([ids["Yes"], ids["No"]])

    @torch.inference_mode()
    def judge(self, solutions: Sequence[Solved], together: int = 128) -> list[Judged]:
        """The votes on each solution, in the order given."""
        order = sorted(range(len(solutions)), key=lambda i: _size(solutions[i]))
        judged = {i: Judged(solutions[i]) for i in order}
        size = max(1, together // self.votes)
        for start in range(0, len(order), size):
            self._batch([judged[i] for i in order[start : start + size]])
        return [judged[i] for i in range(len(solutions))]

    def _batch(self, judged: list[Judged]) -> None:
        rows = _Rows(self, len(judged))
        index = 0
        while judged:
            for i, each in enumerate(judged):
                asked = dialogue.asked(
                    each.solved.problem.prompt, each.solved.steps[index], index + 1
                )
                rows.force(i, asked)
            rows.flush()
            rows.take([i for i in range(len(judged)) for _ in range(self.votes)])
            scores, texts = self._critiques(rows, index + 1)
            chosen, going_on = [], []
            for i, each in enumerate(judged):
                votes = scores[i * self.votes : (i + 1) * self.votes]
                each.scores.append(votes)
                right = sum(votes) / len(votes) >= 0.5
                heir = next((k for k, vote in enumerate(votes) if (vote >= 0.5) == right), 0)
                row = i * self.votes + heir
                each.critiques.append(texts[row])
                each.tokens += sum(rows.sampled[i * self.votes : (i + 1) * self.votes])
                if right and index + 1 < len(each.solved.steps):
                    chosen.append(row)
                    going_on.append(each)
            rows.take(chosen)
            rows.sampled = [0] * len(chosen)
            judged = going_on
            index += 1

    def _critiques(self, rows: _Rows, number: int) -> tuple[list[float], list[str]]:
        """Scores, and texts, of a critique in each row."""
        everyone = range(len(rows.lengths))
        texts = [""] * len(rows.lengths)

        def force(row: int, text: str) -> None:
            rows.force(row, text)
            texts[row] += text

        def sample(stop: str) -> None:
            for row, text in enumerate(rows.sample(stop)):
                texts[row] += text

        if self.way != "direct":
            for row in everyone:
                force(row, dialogue.ANALYZE.format(number=number))
            rows.flush()
            sample("</analyze>\n")
        if self.way in ("code", "imagined"):
            for row in everyone:
                force(row, dialogue.VERIFY)
            rows.flush()
            starts = [len(text) for text in texts]
            sample(dialogue.FENCE)
            for row in everyone:
                code = texts[row][starts[row] :].removesuffix(dialogue.FENCE)
                force(row, dialogue.CODE_OUTPUT)
                if self.way == "code":
                    force(row, run(code) + dialogue.FENCE)
            rows.flush()
            if self.way == "imagined":
                sample(dialogue.FENCE)
            sample(dialogue.OUTPUT_TAG)
        for row in everyone:
            tag = "" if texts[row].endswith(dialogue.OUTPUT_TAG) else dialogue.OUTPUT_TAG
            force(row, tag + dialogue.VERDICT)
        rows.flush()
        both = rows.logits()[:, self.verdicts].softmax(-1)
        scores: list[float] = both[:, 0].tolist()
        for row in everyone:
            force(row, dialogue.word(scores[row] >= 0.5) + dialogue.CLOSE)
        rows.flush()
        return scores, texts


def _size(solved: Solved) -> int:
    return len(solved.steps) * 1000 + len(solved.problem.prompt)


class _Rows:
    """Conversations in the model's memory, with text waiting to be read."""

    def __init__(self, judge: Judge, count: int) -> None:
        self.judge = judge
        self.cache = Cache(judge.model, count, CONTEXT)
        self.lengths = [0] * count
        self.waiting: list[list[int]] = [[] for _ in range(count)]
        self.sampled = [0] * count
        self.hidden: Tensor = torch.zeros(count, judge.model.shape.hidden)

    def force(self, row: int, text: str) -> None:
        """Put text at the end of a row, to be read at the next `flush`."""
        self.waiting[row] += self.judge.tokenizer.encode(text).ids

    def take(self, rows: list[int]) -> None:
        """Go on with these rows only; a row can be taken more than once."""
        chosen = torch.tensor(rows, dtype=torch.long)
        self.cache.take(chosen)
        self.hidden = self.hidden[chosen]
        self.lengths = [self.lengths[row] for row in rows]
        self.waiting = [[] for _ in rows]
        self.sampled = [0] * len(rows)

    def flush(self) -> None:
        """Read what waits, all rows at once; shorter rows read padding that is written over."""
        longest = max(map(len, self.waiting))
        tokens = torch.zeros(len(self.lengths), longest, dtype=torch.long)
        for row, ids in enumerate(self.waiting):
            tokens[row, : len(ids)] = torch.tensor(ids, dtype=torch.long)
        position = torch.tensor(self.lengths)[:, None] + torch.arange(longest)
        hidden = forward(self.judge.model, tokens, position.clamp(max=CONTEXT - 1), self.cache)
        for row, ids in enumerate(self.waiting):
            if ids:
                self.hidden[row] = hidden[row, len(ids) - 1]
                self.lengths[row] = min(self.lengths[row] + len(ids), CONTEXT - 1)
                self.waiting[row] = []

    def logits(self) -> Tensor:
        """Of the next token of each row."""
        return functional.linear(self.hidden, self.judge.model.embedding).float()

    def sample(self, stop: str) -> list[str]:
        """What every row goes on with, up to and including the token `stop`."""
        judge = self.judge
        ids = judge.tokenizer.get_vocab()
        ends = {judge.tokenizer.encode(stop).ids[0], ids["<output>Ċ"], ids["<|im_end|>"]}
        outputs: list[list[int]] = [[] for _ in self.lengths]
        active = [True] * len(self.lengths)
        while any(active):
            logits = self.logits()
            if judge.temperature:
                weights = (logits / judge.temperature).softmax(-1)
                chosen = torch.multinomial(weights, 1, generator=judge.generator)[:, 0]
            else:
                chosen = logits.argmax(-1)
            for row, token in enumerate(chosen.tolist()):
                if not active[row]:
                    continue
                if token == ids["<|im_end|>"]:
                    active[row] = False  # the product forces a verdict here as well
                    continue
                outputs[row].append(token)
                self.waiting[row] = [token]
                self.sampled[row] += 1
                full = self.lengths[row] + 2 >= CONTEXT or len(outputs[row]) >= TURN_TOKENS
                active[row] = token not in ends and not full
            self.flush_one()
        return [judge.tokenizer.decode(out, skip_special_tokens=False) for out in outputs]

    def flush_one(self) -> None:
        """Read one token in the rows that have one; the others stay as they are."""
        having = [row for row, ids in enumerate(self.waiting) if ids]
        if having:
            self.flush()
