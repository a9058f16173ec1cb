"""The JSON form of a result: a stable document for scripts and for `--out`.

`schema` is `tts.result/1`. Within a version, members are added but never renamed, removed or given
another meaning; text is never cut. Shares and scores are in [0, 1], times in seconds, log-
probabilities in nats; `null` stands for "none" or "unknown".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypedDict

from tts._version import __version__

if TYPE_CHECKING:
    from tts.cli.session import Ended
    from tts.result import Result
    from tts.types import Cost

SCHEMA: Final = "tts.result/1"


class ProblemDocument(TypedDict):
    """What was asked."""

    id: str
    prompt: str
    expected: str | None
    """The right answer, where it is known: of examples."""


class SearchDocument(TypedDict):
    """How it was searched."""

    strategy: str
    """With all its knobs, as Python writes it."""
    policy: str
    verifier: str | None
    budget: dict[str, float]
    """The limits that were set: tokens, flops, seconds, samples, calls, usd."""
    seed: int
    selector: str
    """What chose the answer: majority, weighted, best or probable."""
    command: str
    """A command line that repeats the search."""


class StepDocument(TypedDict):
    """A step of the best solution."""

    text: str
    score: float | None
    """The verifier's verdict on this step."""
    prefix_score: float | None
    """The verdicts up to this step, reduced to one score."""
    logprob: float
    tokens: int


class CandidateDocument(TypedDict):
    """A finished solution."""

    key: list[int]
    """Its sample index at each depth of the tree."""
    answer: str | None
    group: int | None
    """Equal answers have the same number."""
    score: float | None
    text: str


class CostDocument(TypedDict):
    """What one model took."""

    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    samples: int
    calls: int
    code_seconds: float
    recomputed_tokens: int
    """Computed again because the cache had lost them; not charged to a budget of FLOPs."""


class WasteDocument(TypedDict):
    """Steps that lead to no answer, the verdicts on them, and calls that gave nothing."""

    accounts: dict[str, CostDocument]
    total: dict[str, float]
    share: float
    """Of all output tokens, in [0, 1]."""


class SpendDocument(TypedDict):
    """What the search took."""

    accounts: dict[str, CostDocument]
    """By account: policy, verifier."""
    total: dict[str, float]
    """In the units of a budget."""
    by_account: dict[str, dict[str, float]]
    """The parts of the total."""
    wasted: WasteDocument
    """What of it is in no answer."""
    cached_share: float
    seconds: float


class ResultDocument(TypedDict):
    """All of it."""

    schema: str
    version: str
    """Of `tts`."""
    problem: ProblemDocument
    answer: str | None
    confidence: float
    """The answer's share of the vote; the probability that it is right if `probable` chose."""
    correct: bool | None
    """Null where the right answer is not known."""
    stop_reason: str
    """done, budget, deadline, cancelled or failed."""
    steps: list[StepDocument]
    candidates: list[CandidateDocument]
    spend: SpendDocument
    search: SearchDocument
    abstained: int
    """Verdicts that gave no score."""
    undecided: int
    """Pairs of answers that could not be compared, and count as different."""
    errors: list[str]


def document(ended: Ended, command: str) -> ResultDocument:
    """A search that is over, and can be repeated by `command`, as a document."""
    from tts.events import Started

    result = ended.result
    started = next(event for event in result.events if isinstance(event, Started))
    spend = result.spend
    return {
        "schema": SCHEMA,
        "version": __version__,
        "problem": {
            "id": result.problem.id,
            "prompt": result.problem.prompt,
            "expected": result.problem.answer,
        },
        "answer": result.answer,
        "confidence": result.confidence,
        "correct": ended.correct,
        "stop_reason": result.stop_reason.value,
        "steps": _steps(result),
        "candidates": [
            {
                "key": list(candidate.key),
                "answer": candidate.answer,
                "group": candidate.label,
                "score": candidate.score,
                "text": candidate.text,
            }
            for candidate in result.candidates
        ],
        "spend": {
            "accounts": {account: _cost(cost) for account, cost in spend.costs.items()},
            "total": dict(spend.total._asdict()),
            "by_account": {
                account: dict(ended.rates.amount(account, cost)._asdict())
                for account, cost in spend.costs.items()
            },
            "wasted": {
                "accounts": {account: _cost(cost) for account, cost in spend.wasted.items()},
                "total": dict(spend.waste._asdict()),
                "share": spend.wasted_share,
            },
            "cached_share": spend.cached_share,
            "seconds": spend.seconds,
        },
        "search": {
            "strategy": started.strategy,
            "policy": started.policy,
            "verifier": started.verifier,
            "budget": dict(ended.budget.limits()),
            "seed": result.seed,
            "selector": result.selector,
            "command": command,
        },
        "abstained": result.abstained,
        "undecided": result.undecided,
        "errors": list(result.errors),
    }


def _steps(result: Result) -> list[StepDocument]:
    if result.best is None:
        return []
    return [
        {
            "text": node.step.text,
            "score": None if node.judgement is None else node.judgement.score,
            "prefix_score": node.score,
            "logprob": node.step.logprob,
            "tokens": len(node.step.token_ids),
        }
        for node in result.tree[result.best.key].path()
        if node.step is not None
    ]


def _cost(cost: Cost) -> CostDocument:
    return {
        "prompt_tokens": cost.prompt_tokens,
        "cached_tokens": cost.cached_tokens,
        "output_tokens": cost.output_tokens,
        "samples": cost.samples,
        "calls": cost.calls,
        "code_seconds": cost.code_seconds,
        "recomputed_tokens": cost.recomputed_tokens,
    }
