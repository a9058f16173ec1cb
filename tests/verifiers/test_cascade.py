"""A cheap verifier first, an expensive one for what it leaves undecided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from tts.budget.meter import Meter
from tts.config import make
from tts.errors import ConfigError
from tts.testing import Bench, VerifierContract
from tts.testing.verifier import case
from tts.types import Cost, Judgement, Vote
from tts.verifier import Case, ModelInfo, Reduction, Verifier, opened
from tts_strategies.beam import Beam
from tts_verifiers.cascade import Cascade
from tts_verifiers.likelihood import Likelihood

pytestmark = pytest.mark.anyio


CALL = Cost(output_tokens=3, samples=1, calls=1)


@dataclass
class Told:
    """Scores steps by their texts; remembers what it was shown."""

    scores: Mapping[str, float | None]
    parameters: int = 10
    cost: Cost = CALL
    asked: list[str] = field(default_factory=list)
    shown: list[tuple[Judgement | None, ...]] = field(default_factory=list)
    open: int = 0

    @property
    def model(self) -> ModelInfo:
        return ModelInfo(f"of {self.parameters}", self.parameters, 1 << 20)

    @property
    def reduction(self) -> Reduction:
        return Reduction.MIN

    @property
    def sampled(self) -> bool:
        return False

    def bound(self, case: Case, more_tokens: int) -> Cost:
        new = len(case.steps) - len(case.judged) + (more_tokens > 0)
        return Cost(output_tokens=3 * new, samples=new, calls=new)

    async def judge(self, case: Case, meter: Meter) -> list[Judgement | None]:
        verdicts: list[Judgement | None] = []
        self.shown.append(case.judged)
        for step in case.steps[len(case.judged) :]:
            with meter.call(self.cost) as reading:
                reading.cost = self.cost
            self.asked.append(step.text)
            score = self.scores.get(step.text, 0.5)
            reason = "" if score is not None else "no idea"
            vote = Vote(score, f"{self.parameters} on {step.text}", (self.parameters,))
            verdicts.append(Judgement(score, (vote,), reason, self.cost))
        return verdicts

    async def __aenter__(self) -> Told:
        self.open += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self.open -= 1

    async def aclose(self) -> None:
        pass


class TestCascade(VerifierContract):
    @pytest.fixture
    def verifier(self) -> Verifier:
        return Cascade(Likelihood(), Told({}), low=0.4, high=0.99)


class TestCascadeOfCascades(VerifierContract):
    @pytest.fixture
    def verifier(self) -> Verifier:
        return Cascade(Cascade(Told({}), Told({})), Cascade(Likelihood(), Told({})))


async def test_the_second_is_asked_about_what_lies_between_and_what_has_no_score() -> None:
    first = Told({"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.8, "e": None})
    then = Told({"c": 0.9, "e": 0.4}, parameters=70)
    verdicts = await Cascade(first, then).judge(case("a", "b", "c", "d", "e"), Meter())
    assert first.asked == ["a", "b", "c", "d", "e"]
    assert then.asked == ["c", "e"]
    assert [v and v.score for v in verdicts] == [0.1, 0.2, 0.9, 0.8, 0.4]
    assert [v and v.by for v in verdicts] == ["first", "first", "then", "first", "then"]


async def test_each_sees_its_own_critiques_and_of_the_other_the_score_alone() -> None:
    first, then = Told({"a": 0.9, "b": 0.5, "c": 0.5}), Told({"b": 0.7}, parameters=70)
    await Cascade(first, then).judge(case("a", "b", "c"), Meter())

    def critiques(judged: tuple[Judgement | None, ...]) -> list[str | None]:
        return [j and (j.critique or f"{j.score}") for j in judged]

    assert critiques(first.shown[-1]) == ["10 on a", "0.7"]
    assert critiques(then.shown[-1]) == ["0.9", "70 on b"]


async def test_if_the_second_abstains_the_first_stands_and_both_are_paid() -> None:
    cascade = Cascade(Told({"a": 0.6}), Told({"a": None}))
    meter = Meter()
    (verdict,) = await cascade.judge(case("a"), meter)
    assert verdict is not None
    assert (verdict.score, verdict.by) == (0.6, "first")
    assert verdict.cost == meter.cost == Cost(output_tokens=6, samples=2, calls=2)
    (silent,) = await Cascade(Told({"a": None}), Told({"a": None})).judge(case("a"), Meter())
    assert silent is not None
    assert (silent.score, silent.reason) == (None, "no idea")


async def test_a_case_goes_on_in_a_cascade_of_cascades() -> None:
    inner = Cascade(Told({"a": 0.5}), Told({"a": 0.7}, parameters=20))
    outer = Cascade(Told({"a": 0.5}), inner)
    (verdict,) = await outer.judge(case("a"), Meter())
    assert verdict is not None
    assert (verdict.score, verdict.by) == (0.7, "then.then")
    longer = case("a", "b")
    await outer.judge(Case(longer.problem, longer.steps, (verdict,), longer.seeds[1:]), Meter())
    judged = inner._then.shown[-1]
    assert [j and j.critique for j in judged] == ["20 on a"]


async def test_it_opens_and_closes_both() -> None:
    first, then = Told({}), Told({})
    async with opened(Cascade(first, then)):
        assert (first.open, then.open) == (1, 1)
    assert (first.open, then.open) == (0, 0)


def test_flops_are_counted_at_the_larger_model() -> None:
    model = Cascade(Told({}, parameters=70), Told({}, parameters=7)).model
    assert model is not None
    assert model.parameters == 70


def test_nobody_knows_its_flops_where_the_size_of_one_is_not_known() -> None:
    model = Cascade(Told({}, parameters=70), Told({}, parameters=0)).model
    assert model is not None
    assert model.parameters == 0


def test_a_search_by_a_cascade_keeps_its_books() -> None:
    result = Bench(verifier=Cascade(Told({}), Told({}, parameters=70))).solve(Beam(n=4, width=2))
    assert result.answer is not None
    assert result.spend.verifier.calls == 2 * len(result.tree)


def test_specs_nest_in_brackets() -> None:
    inner = "cascade:first=likelihood,then=likelihood,low=0.3"
    spec = f"cascade:first=[likelihood:reduction=min],then=[{inner}],low=0.1"
    cascade = make("verifiers", spec)
    assert isinstance(cascade, Cascade)
    assert (cascade._low, cascade._first.reduction) == (0.1, Reduction.MIN)
    assert isinstance(cascade._then, Cascade)
    assert cascade._then._low == 0.3


@pytest.mark.parametrize(
    "spec", ["cascade:first=[likelihood", "cascade:first=likelihood]", "cascade:first"]
)
def test_a_nested_spec_that_cannot_be_read_is_refused(spec: str) -> None:
    with pytest.raises(ConfigError, match=r"no partner|not a knob"):
        make("verifiers", spec)


@pytest.mark.parametrize(("low", "high"), [(0.9, 0.1), (-0.1, 0.5), (0.5, 1.5)])
def test_thresholds_must_be_in_order(low: float, high: float) -> None:
    with pytest.raises(ConfigError, match="0 <= low <= high <= 1"):
        Cascade(Told({}), Told({}), low=low, high=high)
