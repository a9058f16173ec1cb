"""Traffic: the tokens that one problem asks of each model, from a strategy's own bill.

A strategy says how many calls and verdicts a search comes to (`tts.paper.Bill`). A call writes at
least one step, and no step is judged twice but for votes; so the steps sampled are the larger of
calls and steps judged. From them follows what each model decodes, what it computes of prompts, and
what its cache would hold of the search if nothing were thrown away: a trie, of which each sampled
step is one edge.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tts.errors import ConfigError
from tts.paper import Bill


@dataclass(frozen=True, slots=True)
class Lengths:
    """Mean lengths, in tokens but for `depth`.

    Depth and the tokens of a vote are those of GenPRM-7B on MATH (Zhao et al. 2025: 2771.4 tokens
    a response, 344.7 a step). The others are round figures for problems of that kind, from no
    source.
    """

    prompt: int = 128
    """The problem as the policy is asked it."""
    step: int = 75
    depth: int = 8
    """Steps of a solution."""
    question: int = 256
    """What the verifier is told before the first step, the problem included."""
    vote: int = 345
    """What the verifier writes about a step; 0 for one that only scores."""

    def __post_init__(self) -> None:
        for name, least in (("prompt", 1), ("step", 1), ("depth", 1), ("question", 0), ("vote", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name}={getattr(self, name)} must be at least {least}")


@dataclass(frozen=True, slots=True)
class Work:
    """What a search on one problem comes to."""

    steps: int
    """Sampled."""
    judged: int
    """Steps put to the verifier."""
    votes: int
    """On each of them."""
    chains: float
    """Solutions being written side by side, if all are written at once; >= 1."""
    exact: bool
    """Whether it is what every search of that depth comes to; otherwise it is the most."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a problem asks of one model, in tokens."""

    output: int
    """Decoded."""
    computed: int
    """Of prompts, with a cache that holds the trie."""
    trie: int
    """In the cache if the search's every prefix stays there."""
    longest: int
    """On one path."""
    context: int
    """Read for a decoded token, on average."""
    sequences: float
    """Being decoded side by side, at most."""


def work_of(
    bill: Bill, knobs: Mapping[str, object], lengths: Lengths, votes: int | None = None
) -> Work:
    """What `bill` comes to with a strategy's `knobs`.

    `votes` is what the verifier is told, 1 if nothing; where the bill says how many, it is not
    asked.

    Raises:
        ConfigError: the bill is not arithmetic on the knobs and `depth`, or `votes` is below 1, or
            not for the verifier to say.
    """
    if votes is not None and votes < 1:
        raise ConfigError(f"votes={votes} must be at least 1")
    if votes is not None and bill.votes is not None:
        raise ConfigError(
            f"votes={votes}: the strategy itself decides how many votes a step gets, by its "
            f"knobs: {bill.votes}"
        )
    names = {**knobs, "depth": lengths.depth}
    calls, judged = (evaluated(each, names) for each in (bill.calls, bill.verdicts))
    each = votes or 1 if bill.votes is None else evaluated(bill.votes, names)
    steps = max(calls, judged)
    return Work(
        steps=steps,
        judged=judged if each else 0,
        votes=each,
        chains=max(1.0, steps / lengths.depth),
        exact=bill.exact,
    )


def policy_traffic(work: Work, lengths: Lengths) -> Traffic:
    """Of the policy: it writes each step once, behind a prefix that its cache holds."""
    written = work.steps * lengths.step
    path = lengths.depth * lengths.step
    return Traffic(
        output=written,
        computed=lengths.prompt,
        trie=lengths.prompt + written,
        longest=lengths.prompt + path,
        context=lengths.prompt + path // 2,
        sequences=work.chains,
    )


def verifier_traffic(work: Work, lengths: Lengths) -> Traffic:
    """Of a verifier that writes: its conversation about a path goes on from the step before.

    What it is told of its code's output is left out. One that only scores (`vote` 0) computes every
    prefix anew, since engines read no cache where all tokens are pooled (seen in vLLM 0.32).
    """
    turn = lengths.step + lengths.vote
    path = lengths.depth * turn
    told = work.judged * lengths.step
    if not lengths.vote:
        half = lengths.step * (lengths.depth + 1) / 2
        told = math.ceil(work.judged * (lengths.question + half)) - lengths.question
    said = work.judged * work.votes * lengths.vote
    return Traffic(
        output=said,
        computed=lengths.question + told if work.judged else 0,
        trie=lengths.question + work.judged * lengths.step + said,
        longest=lengths.question + path,
        context=lengths.question + path // 2,
        sequences=work.chains * max(1, work.votes),
    )


_OPERATIONS: Final[Mapping[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}
_FUNCTIONS: Final[Mapping[str, Callable[..., float]]] = {"max": max, "min": min}


def evaluated(expression: str, names: Mapping[str, object]) -> int:
    """A bill's arithmetic, rounded up: numbers, names, + - * // **, max and min.

    Raises:
        ConfigError: it is something else, or a name in it is not among `names`.
    """

    def value(node: ast.expr) -> float:
        match node:
            case ast.Constant(value=int(number) | float(number)):
                return number
            case ast.Name(id=name) if isinstance(known := names.get(name), int | float):
                return known
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
                return _OPERATIONS[type(op)](value(left), value(right))
            case ast.Call(func=ast.Name(id=name), args=args) if name in _FUNCTIONS:
                return _FUNCTIONS[name](*map(value, args))
        raise ConfigError(f"{ast.unparse(node)!r} in the bill {expression!r} cannot be counted")

    try:
        tree = ast.parse(expression, mode="eval")
    except SyntaxError:
        raise ConfigError(f"the bill {expression!r} is no arithmetic") from None
    return math.ceil(value(tree.body))
