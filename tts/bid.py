"""Bid: what one more sample would add to the chance of a right answer, for its price."""

from __future__ import annotations

import math

import numpy as np

from tts.answers import extract_answer, normalise
from tts.budget.evidence import Evidence, Tally, Witness
from tts.budget.worth import Outlay, sampling
from tts.tree import Node, Tree


def worth_of_more(tree: Tree, evidence: Evidence, spent: float) -> float:
    """Gain of P(right) a unit of compute, if `spent` bought the solutions of `tree`.

    Infinite as long as there is no solution. Answers are the same where their notation is: what
    algebra would find equal takes a process of its own.
    """
    ends = tree.ends()
    if not ends:
        return math.inf
    labels: dict[str, int] = {}
    tally = Tally.of([_witness(end, labels) for end in ends], evidence)
    offers = sampling(tally, evidence, np.random.default_rng(0), Outlay(sample=1.0))
    gain = max(offer.gain / offer.price for offer in offers)
    return gain * len(ends) / spent if spent else math.inf


def _witness(end: Node, labels: dict[str, int]) -> Witness:
    answer = extract_answer(end.text) if end.answered else None
    form = "" if answer is None else normalise(answer)
    label = labels.setdefault(form, len(labels)) if form else None
    return Witness.of(label, end)
