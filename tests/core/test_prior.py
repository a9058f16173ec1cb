"""What to believe of a policy: found from what it wrote, left alone where that says little."""

from __future__ import annotations

import numpy as np
import pytest

from tts.budget.evidence import Evidence
from tts.budget.prior import Outcomes, with_prior


def drawn(evidence: Evidence, problems: int, samples: int) -> list[Outcomes]:
    """By the process that beliefs are about, one solution after the other."""
    rng, found = np.random.default_rng(0), []
    for _ in range(problems):
        right = int(rng.binomial(samples, rng.beta(evidence.successes, evidence.failures)))
        wrong: list[int] = []
        for written in range(samples - right):
            if rng.random() < evidence.scatter / (evidence.scatter + written):
                wrong.append(1)
            else:
                wrong[rng.choice(len(wrong), p=np.array(wrong) / written)] += 1
        found.append(Outcomes(right, wrong))
    return found


@pytest.mark.parametrize("truth", [(0.5, 2.0, 12.0), (3.0, 1.0, 0.5)])
def test_the_prior_is_found_from_what_was_drawn_from_it(truth: tuple[float, float, float]) -> None:
    there = Evidence(0.9, 0.1, 0.3, *truth)
    found = with_prior(Evidence(0.9, 0.1, 0.3), drawn(there, 400, 16))
    assert (found.successes, found.failures, found.scatter) == pytest.approx(truth, rel=0.2)
    assert (found.approves_right, found.approves_wrong, found.correlation) == (0.9, 0.1, 0.3)


def test_without_problems_it_stays_what_it_was() -> None:
    before = Evidence(0.9, 0.1, successes=1.0, failures=1.0, scatter=4.0)
    found = with_prior(before, [])
    assert (found.successes, found.failures) == (1.0, 1.0)
    assert found.scatter == pytest.approx(4.0, rel=0.06)


def test_a_policy_that_is_always_right_is_not_believed_to_be_so_for_ever() -> None:
    found = with_prior(Evidence(), [Outcomes(8)] * 3)
    assert found.successes > 1 > found.failures > 0.1
    assert found.scatter == pytest.approx(4.0, rel=0.06)  # nothing was said of it


def test_answers_that_are_missing_are_wrong_and_scatter_over_nothing() -> None:
    some, more = (with_prior(Evidence(), [Outcomes(2, (1,), n)] * 9) for n in (0, 6))
    assert more.failures / more.successes > some.failures / some.successes
    assert more.scatter == some.scatter
