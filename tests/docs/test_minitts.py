"""The short program is true to the long one: the same rules hold in both."""

import asyncio
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

PATH = Path(__file__).parents[2] / "examples" / "minitts.py"


@pytest.fixture(scope="module")
def minitts() -> ModuleType:
    spec = importlib.util.spec_from_file_location("minitts", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["minitts"] = module  # its dataclasses look their annotations up there
    spec.loader.exec_module(module)
    return module


def test_it_is_short() -> None:
    assert len(PATH.read_text().splitlines()) <= 170


@pytest.mark.parametrize("tokens", [1, 39, 100, 500, 2_000, 20_000])
@pytest.mark.parametrize("strategy", ["best_of_n", "beam"])
def test_the_budget_is_never_exceeded(minitts: ModuleType, strategy: str, tokens: int) -> None:
    _, _, spent = asyncio.run(minitts.solve(getattr(minitts, strategy), tokens))
    assert spent <= tokens


def test_more_compute_answers_better(minitts: ModuleType) -> None:
    def accuracy(tokens: int) -> float:
        answers = [asyncio.run(minitts.solve(minitts.beam, tokens, seed))[0] for seed in range(20)]
        return sum(answer == minitts.RIGHT for answer in answers) / len(answers)

    assert accuracy(20_000) > accuracy(600) + 0.2


def test_timing_changes_nothing(minitts: ModuleType) -> None:
    runs = [asyncio.run(minitts.solve(minitts.beam, 20_000, seed=3)) for _ in range(3)]
    assert runs[0] == runs[1] == runs[2]
