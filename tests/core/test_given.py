"""What an engine can be given, and what is said of everything else."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

from tts import Engine, LanguagePolicy
from tts.backends.fake import FakeBackend
from tts.errors import ConfigError
from tts_strategies.best_of_n import BestOfN
from tts_verifiers.likelihood import Likelihood

pytestmark = pytest.mark.anyio


async def write(prompt: str, seed: int) -> str:
    return f"\\boxed{{{seed % 3}}}"


async def score(prompt: str, steps: Sequence[str]) -> list[float]:
    return [0.9 if "{1}" in step else 0.1 for step in steps]


class Callable:
    """An object that can be called is a function too."""

    async def __call__(self, prompt: str, steps: Sequence[str]) -> object:
        return np.array(await score(prompt, steps), dtype=np.float32)


@pytest.mark.parametrize("verifier", [score, partial(score), Callable()])
async def test_a_coroutine_function_is_a_verifier(verifier: object) -> None:
    async with Engine(write, verifier) as engine:  # type: ignore[arg-type]
        result = await engine.solve("Which?", BestOfN(n=9))
    assert result.answer == "1"
    assert all(
        candidate.score == pytest.approx(0.9 if candidate.answer == "1" else 0.1)
        for candidate in result.candidates
    )


async def test_an_object_that_can_be_called_is_a_policy() -> None:
    async with Engine(partial(write)) as engine:
        assert (await engine.solve("Which?", BestOfN(n=2))).answer is not None


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"policy": 5}, "policy=5 cannot write: give a spec"),
        ({"policy": ["nano"]}, r"policy=\['nano'\] cannot write"),
        ({"policy": None}, "policy=None cannot write"),
        ({"policy": LanguagePolicy}, r"LanguagePolicy'> cannot write"),
        ({"policy": FakeBackend()}, r"FakeBackend .* cannot write.*LanguagePolicy\(backend\)"),
        ({"verifier": 0.5}, "verifier=0.5 cannot judge: give a spec"),
        ({"verifier": Likelihood}, "Likelihood'> cannot judge"),
        ({"select": 3}, "select=3 cannot choose: give one of best, majority, probable, weighted"),
    ],
)
def test_what_is_no_model_is_refused(given: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Engine(**{"policy": "fake", **given})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("problem", "strategy", "complaint"),
    [
        (7, "best_of_n", "7 is not a problem: give its text, or a Problem"),
        ("What?", 4, "strategy=4 cannot search: give a spec such as 'beam:n=8'"),
        ("What?", BestOfN, "BestOfN'> cannot search"),
    ],
)
async def test_what_is_no_search_is_refused(
    problem: object, strategy: object, complaint: str
) -> None:
    async with Engine("fake") as engine:
        with pytest.raises(ConfigError, match=complaint):
            await engine.solve(problem, strategy)  # type: ignore[arg-type]


def at_once(prompt: str, rest: object) -> str:
    return "\\boxed{1}"


def gives(value: object) -> object:
    async def answer(prompt: str, rest: object) -> object:
        return value

    return answer


@pytest.mark.parametrize(
    ("policy", "complaint"),
    [
        (gives(None), "answer gave None for a solution: it must give text"),
        (gives(b"1"), "answer gave b'1' for a solution"),
        (at_once, r"at_once gave '.*boxed\{1\}', which cannot be awaited.*'async def'"),
    ],
)
async def test_a_policy_that_gives_no_text_is_told_so(policy: object, complaint: str) -> None:
    async with Engine(policy) as engine:  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=complaint):
            await engine.solve("Which?", BestOfN(n=2))


@pytest.mark.parametrize(
    ("verifier", "complaint"),
    [
        (gives(None), "answer gave None for 1 steps: it must give one score"),
        (gives(0.5), "answer gave 0.5 for 1 steps"),
        (gives([0.5, 0.5]), r"answer gave \[0.5, 0.5\] for 1 steps"),
        (gives([1.5]), r"score 1.5 of answer is not in \[0, 1\]"),
        (gives([float("nan")]), r"score nan of answer is not in \[0, 1\]"),
        (gives("y"), r"score 'y' of answer is not in \[0, 1\]"),
        (at_once, "at_once gave .* cannot be awaited"),
    ],
)
async def test_a_verifier_that_gives_no_scores_is_told_so(verifier: object, complaint: str) -> None:
    async with Engine(write, verifier) as engine:  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=complaint):
            await engine.solve("Which?", BestOfN(n=2))
