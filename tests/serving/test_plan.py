"""A plan's memory adds up, follows the traffic, and says what is missing."""

from dataclasses import replace
from inspect import signature

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tts.backends.remote.opening import open_sglang, open_vllm
from tts.errors import ConfigError
from tts.serving.devices import DEVICES, GIB, Device, device_of
from tts.serving.plan import Demand, Plan, planned, remedies
from tts.serving.roofline import AT_ONCE, bound_of
from tts.serving.shapes import PRECISIONS, PUBLISHED, Precision, shape_of
from tts.serving.traffic import Lengths, Work, policy_traffic, verifier_traffic

LENGTHS = Lengths()
HALF = PRECISIONS["bfloat16"]
devices = st.sampled_from(sorted(DEVICES.values(), key=lambda device: device.name))
models = st.sampled_from(sorted(set(PUBLISHED) - {"Qwen/Qwen2.5-Math-PRM-7B"}))
judges = st.sampled_from(["GenPRM/GenPRM-1.5B", "GenPRM/GenPRM-7B"])
widths, votes = st.integers(1, 256), st.integers(1, 32)


def demands(
    policy: str, verifier: str, width: int, votes: int, precision: Precision = HALF
) -> list[list[Demand]]:
    steps = width * LENGTHS.depth
    work = Work(steps, steps, votes, float(width), exact=True)
    return [
        [Demand("policy", shape_of(policy), precision, policy_traffic(work, LENGTHS))],
        [Demand("verifier", shape_of(verifier), precision, verifier_traffic(work, LENGTHS))],
    ]


def two(device: Device, width: int = 16, votes: int = 1, **told: int) -> Plan:
    groups = demands("Qwen/Qwen2.5-Math-1.5B", "GenPRM/GenPRM-7B", width, votes)
    return planned(device, groups, **told)


@given(devices, models, judges, widths, votes)
def test_memory_adds_up_and_no_cache_is_below_one_context(device, policy, judge, width, votes):
    plan = planned(device, demands(policy, judge, width, votes))
    fixed = sum(share.weights + share.workspace + share.floor for share in plan.shares)
    room = device.memory - device.spare
    assert plan.missing == max(0, fixed - room)
    if plan.fits:
        assert plan.free >= device.spare
        assert sum(share.total for share in plan.shares) + plan.free == device.memory
        assert plan.free - device.spare < 2  # all that there is is given, but for a rounding
        assert all(share.cache >= share.floor for share in plan.shares)
        for share in plan.shares:
            assert share.cache_tokens >= share.context


@given(devices, models, judges, widths, votes)
def test_both_caches_hold_the_same_problems_unless_one_is_at_its_floor(
    device, policy, judge, width, votes
):
    plan = planned(device, demands(policy, judge, width, votes))
    assume(plan.fits and all(share.cache > share.floor for share in plan.shares))
    first, second = (share.cache / share.trie_bytes for share in plan.shares)
    assert first == pytest.approx(second, rel=1e-6)


@given(devices, widths, st.integers(1, 64), votes, st.integers(1, 16))
def test_more_votes_or_width_mean_fewer_live_problems_and_more_seconds(
    device, width, wider, votes, more
):
    base = two(device, width, votes)
    assume(base.fits)
    for plan in (two(device, width + wider, votes), two(device, width, votes + more)):
        assert plan.live <= base.live * (1 + 1e-6)
        before, after = bound_of(base), bound_of(plan)
        assert before is not None
        assert after is not None
        assert after.device_seconds >= before.device_seconds * (1 - 1e-6)
        assert after.tokens > before.tokens


def test_a_limit_on_problems_leaves_memory_free():
    plan = two(DEVICES["h200"], problems=2)
    assert plan.live == pytest.approx(2)
    assert plan.free > two(DEVICES["h200"]).free
    bound = bound_of(plan, problems=2)
    assert bound is not None
    assert bound.live == pytest.approx(2)


def test_what_does_not_fit_says_how_much_is_missing_and_each_remedy_does_fit():
    groups = demands("Qwen/Qwen2.5-Math-7B", "GenPRM/GenPRM-7B", 16, 1)
    plan = planned(DEVICES["rtx4090"], groups)
    assert not plan.fits
    assert bound_of(plan) is None
    larger = replace(plan.device, memory=int((plan.device.memory + plan.missing) / 0.96) + 1)
    assert planned(larger, groups).fits
    found = remedies(plan)
    assert any("fp8" in each for each in found)
    assert any("the policy alone" in each for each in found)
    halved = [[replace(group[0], precision=PRECISIONS["fp8"])] for group in groups]
    assert planned(plan.device, halved).fits
    assert planned(plan.device, groups[:1]).fits
    assert remedies(planned(DEVICES["h200"], groups)) == []
    assert remedies(planned(device_of("gpu:5"), groups)) == []


def test_adapters_of_one_base_hold_its_weights_once():
    groups = demands("GenPRM/GenPRM-7B", "GenPRM/GenPRM-7B", 16, 1)
    (share,) = planned(DEVICES["a100-40"], [groups[0] + groups[1]]).shares
    assert share.name == "policy+verifier"
    assert share.weights == groups[0][0].weights
    assert share.trie_bytes == sum(group[0].trie_bytes for group in groups)
    flat = [replace(group[0], adapter_bytes=GIB // 4) for group in groups]
    (adapted,) = planned(DEVICES["a100-40"], [flat]).shares
    assert adapted.weights == share.weights + GIB // 2


def test_an_engine_that_wants_more_gets_its_least_cache():
    plan = two(device_of("cpu:40"), problems=1, least_cache=GIB)
    assert min(share.cache for share in plan.shares) == GIB


@pytest.mark.parametrize("told", [{"context": 100}, {"problems": 0}, {"workspace": 0}])
def test_numbers_that_make_no_sense_are_refused(told):
    with pytest.raises(ConfigError, match=next(iter(told))):
        two(DEVICES["h100"], **told)


def test_a_search_deeper_than_a_context_is_refused():
    lengths = Lengths(step=600)
    work = Work(8, 8, 1, 1.0, exact=True)
    demand = Demand("policy", shape_of("Qwen2.5-Math-1.5B"), HALF, policy_traffic(work, lengths))
    with pytest.raises(ConfigError, match="context of 4,096 tokens"):
        planned(DEVICES["h100"], [[demand]])


@pytest.mark.parametrize("opened", [open_sglang, open_vllm])
def test_the_roofline_counts_on_as_many_requests_as_a_backend_has_in_flight(opened):
    assert signature(opened).parameters["at_once"].default == AT_ONCE


def test_the_roofline_is_what_it_says():
    device = Device("told", 10**12, 1e12, 1e15, "")
    work = Work(steps=8, judged=0, votes=1, chains=1.0, exact=True)
    lengths = Lengths(prompt=100, step=100, depth=8)
    shape = shape_of("GenPRM/GenPRM-7B")
    demand = Demand("policy", shape, HALF, policy_traffic(work, lengths))
    (rate,) = bound_of(planned(device, [[demand]], problems=1), problems=1).rates
    moved = 2 * shape.parameters + 500 * 2 * 2 * 28 * 4 * 128  # weights, and 500 tokens of cache
    assert rate.limited_by == "memory"
    assert rate.tokens_per_second == pytest.approx(1e12 / moved)
    assert rate.decode_seconds == pytest.approx(800 * moved / 1e12)
    assert rate.prompt_seconds == pytest.approx(100 * 2 * shape.parameters / 1e15)
    slow = replace(device, flops=1e9)
    (rate,) = bound_of(planned(slow, [[demand]], problems=1), problems=1).rates
    assert rate.limited_by == "arithmetic"
    flops = 2 * shape.parameters + 4 * 28 * 28 * 128 * 500
    assert rate.tokens_per_second == pytest.approx(1e9 / flops)
