"""What a strategy says that it costs is what it costs."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest

from tts.backends.base import Dialect
from tts.events import Judged
from tts.paper import Bill, Paper
from tts.registry import load, names
from tts.testing import Bench
from tts.testing.machine import Machine, Panel

DEPTH = 3
KNOBS = [
    ("ab_mcts", {"n": 7}),
    ("adaptive_consistency", {"n": 9}),
    ("beam", {"n": 8, "width": 3}),
    ("best_of_n", {"n": 5}),
    ("by_law", {"at_most": 6, "votes_at_one": 1.0}),
    ("deepconf", {"n": 9, "warmup": 3, "window": 4}),
    ("dvts", {"n": 8, "width": 4}),
    ("dvts", {"n": 2, "width": 3}),
    ("eager_beam", {"n": 7, "width": 2}),
    ("early_stopping", {"n": 7, "window": 3}),
    ("ets", {"n": 6}),
    ("lookahead", {"n": 4, "width": 2, "steps": 2}),
    ("mcts", {"simulations": 9, "width": 2}),
    ("particles", {"n": 5}),
    ("particles", {"n": 4, "sweeps": 3, "resample_below": 0.001}),
    ("rebase", {"n": 6}),
    ("refine", {"n": 2, "turns": 2}),
    ("rstar", {"rollouts": 5, "actions": 3}),
    ("split", {"samples": 4, "votes": 2}),
    ("voi", {"at_most": 6, "votes": 2}),
]


def three_steps(text: str, seed: int) -> str:
    return f"{seed % 97}\n\n" * (DEPTH - 1 - text.count("\n\n")) + f"\\boxed{{{seed % 7}}}"


@pytest.mark.parametrize(("name", "knobs"), KNOBS, ids=str)
@pytest.mark.parametrize("system", [None, "Think."])
def test_a_search_costs_what_its_bill_says(
    name: str, knobs: dict[str, float], system: str | None
) -> None:
    strategy = load("strategies", name)(**knobs)
    bill: Bill = strategy.bill
    values = {each.name: getattr(strategy, each.name) for each in fields(strategy)}
    values |= {"depth": DEPTH, "max": max}
    calls, verdicts, votes = (
        eval(each, {}, values) for each in (bill.calls, bill.verdicts, bill.votes or "1")
    )
    dialect = Dialect(system, "{problem}", step_tokens=64, answer_tokens=400)
    panel = Panel(Machine(slots=64))
    result = Bench(script=three_steps, dialect=dialect, verifier=panel).solve(strategy)
    heard = {
        event.key: len(event.judgement.votes)
        for event in result.events
        if isinstance(event, Judged) and event.judgement is not None
    }
    judged = len(heard)
    assert 0 < max(heard.values()) <= math.ceil(votes)
    if bill.exact:
        assert (result.spend.policy.calls, judged) == (calls, verdicts)
    else:
        assert result.spend.policy.calls <= calls
        assert judged <= verdicts
        assert result.spend.policy.calls > 0


def test_every_installed_strategy_has_a_bill_that_is_tested_and_says_where_it_is_from() -> None:
    assert {name for name, _ in KNOBS} == set(names("strategies")) - {"table"}
    assert not hasattr(load("strategies", "table"), "bill")  # it costs what it chooses
    for name in names("strategies"):
        papers = load("strategies", name).papers
        assert papers
        assert all(isinstance(paper, Paper) for paper in papers)


def test_a_key_names_one_paper() -> None:
    papers = {p for name in names("strategies") for p in load("strategies", name).papers}
    assert len({paper.key for paper in papers}) == len(papers)


@pytest.mark.parametrize(
    ("authors", "short", "key"),
    [
        (("Ada Byron",), "Byron 2020", "byron2020scaling"),
        (("Ada Byron", "Csaba Szepesvári"), "Byron and Szepesvári 2020", "byron2020scaling"),
        (("Csaba Szepesvári", "A B", "others"), "Szepesvári et al. 2020", "szepesvari2020scaling"),
    ],
)
def test_a_paper_is_cited_by_its_first_author(
    authors: tuple[str, ...], short: str, key: str
) -> None:
    paper = Paper("The Scaling of {X}", authors, 2020, arxiv="2001.00001")
    assert (paper.short, paper.key) == (short, key)
    assert paper.bibtex.startswith(f"@misc{{{key},\n  title = {{{{The Scaling of {{X}}}}}},\n")
    assert "eprint = {2001.00001}" in paper.bibtex
