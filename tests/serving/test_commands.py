"""Commands say to each engine, in its own way of counting, what the plan gives it."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tts.errors import ConfigError
from tts.serving.commands import Adapter, Kind, Launch, kind_of
from tts.serving.devices import DEVICES, GIB, Device, device_of
from tts.serving.plan import Demand, Plan, planned
from tts.serving.shapes import PRECISIONS, shape_of
from tts.serving.traffic import Lengths, Work, policy_traffic, verifier_traffic

LENGTHS = Lengths()
WORK = Work(64, 64, 2, 8.0, exact=True)
POLICY = Demand(
    "policy",
    shape_of("Qwen2.5-Math-1.5B"),
    PRECISIONS["bfloat16"],
    policy_traffic(WORK, LENGTHS),
)
VERIFIER = Demand(
    "verifier", shape_of("GenPRM-7B"), PRECISIONS["bfloat16"], verifier_traffic(WORK, LENGTHS)
)
devices = st.sampled_from(sorted(DEVICES.values(), key=lambda device: device.name))


def launches(kind: Kind, plan: Plan, **told: object) -> list[Launch]:
    return [
        Launch(kind, "python", plan.device, share, "a/model", 8000 + n, **told)  # type: ignore[arg-type]
        for n, share in enumerate(plan.shares)
    ]


def option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


@given(devices, st.integers(1, 30), st.integers(1, 30))
def test_an_sglang_server_gets_its_part_of_what_is_free_when_it_starts(device, taken, problems):
    """SGLang: cache = free at its start x fraction - weights."""
    plan = planned(device, [[POLICY], [VERIFIER]], problems=problems)
    assume(plan.fits)
    first, second = launches("sglang", plan)
    for launch, held in ((first, 0), (second, first.share.total), (first, second.share.total)):
        free = device.memory - held
        fraction = float(option(launch.words(held), "--mem-fraction-static"))
        assert 0 < fraction < 1
        assert launch.share.static - free * fraction == pytest.approx(0, abs=1e-4 * free)
        assert free * fraction <= launch.share.static
        # What the fraction leaves is enough for its workspace.
        assert free * (1 - fraction) >= launch.share.workspace


@given(devices, st.integers(1, 30))
def test_a_vllm_server_gets_its_part_of_what_the_device_has(device, problems):
    """VLLM: weights, workspace and cache = memory x fraction, whatever else runs."""
    plan = planned(device, [[POLICY], [VERIFIER]], problems=problems)
    assume(plan.fits)
    fractions = []
    for launch in launches("vllm", plan):
        assert launch.words(0) == launch.words(10 * GIB)
        fraction = float(option(launch.words(), "--gpu-memory-utilization"))
        assert 0 <= launch.share.total - fraction * device.memory <= 1e-4 * device.memory
        fractions.append(fraction)
    assert sum(fractions) <= 1 - device.spare / device.memory


def test_a_cpu_is_told_tokens_or_whole_gib_of_cache():
    plan = planned(device_of("cpu:40"), [[POLICY], [VERIFIER]], least_cache=GIB)
    for launch in launches("sglang", plan):
        words = launch.words()
        assert option(words, "--max-total-tokens") == str(launch.share.cache_tokens)
        assert "--mem-fraction-static" not in words
        assert launch.environment()["SGLANG_USE_CPU_ENGINE"] == "1"
        assert "OMP_NUM_THREADS" not in launch.environment()
        assert replace(launch, threads=3).environment()["OMP_NUM_THREADS"] == "3"
    for launch in launches("vllm", plan):
        space = int(launch.environment()["VLLM_CPU_KVCACHE_SPACE"])
        assert space * GIB <= launch.share.cache < (space + 1) * GIB
        assert "--gpu-memory-utilization" not in launch.words()
    (small, _) = launches("vllm", planned(device_of("cpu:40"), [[POLICY], [VERIFIER]], problems=1))
    with pytest.raises(ConfigError, match="whole GiB"):
        small.words()


def test_what_searches_need_is_switched_on():
    device: Device = DEVICES["h100"]
    sglang, _ = launches("sglang", planned(device, [[POLICY], [VERIFIER]]))
    assert sglang.environment() == {"SGLANG_RETURN_ORIGINAL_LOGPROB": "1"}
    assert {"--enable-priority-scheduling", "--enable-cache-report"} <= set(sglang.words())
    vllm, _ = launches("vllm", planned(device, [[POLICY], [VERIFIER]]))
    assert option(vllm.words(), "--scheduling-policy") == "priority"
    assert "--enable-prompt-tokens-details" in vllm.words()
    assert vllm.shell().startswith("python -m vllm.")
    assert vllm.spec("policy") == "vllm:http://127.0.0.1:8000,patience=600"


def test_a_model_that_scores_is_pooled_by_vllm_and_refused_by_sglang():
    scores = replace(VERIFIER, shape=shape_of("Qwen2.5-Math-PRM-7B"))
    scores = replace(scores, traffic=verifier_traffic(WORK, Lengths(vote=0)))
    plan = planned(DEVICES["h100"], [[POLICY], [scores]])
    words = launches("vllm", plan)[1].words()
    assert option(words, "--runner") == "pooling"
    assert "--scheduling-policy" not in words
    with pytest.raises(ConfigError, match="--engine vllm"):
        launches("sglang", plan)[1].words()


def test_two_adapters_are_served_by_one_server_under_their_names():
    base = shape_of("GenPRM-7B")
    both = [replace(demand, shape=base, adapter_bytes=GIB) for demand in (POLICY, VERIFIER)]
    plan = planned(DEVICES["a100-80"], [both])
    adapters = (Adapter("policy", "/p", 12, 10), Adapter("verifier", "/v", 8, 10))
    (vllm,) = launches("vllm", plan, adapters=adapters)
    words = vllm.words()
    assert words[words.index("--lora-modules") + 1 :] == ["policy=/p", "verifier=/v"]
    assert option(words, "--max-lora-rank") == "16"
    assert option(words, "--max-loras") == "2"
    assert "model=verifier,tokenizer=a/model" in vllm.spec("verifier")
    (sglang,) = launches("sglang", plan, adapters=adapters)
    words = sglang.words()
    at = words.index("--lora-paths")
    assert words[at + 1 : at + 3] == ["policy=/p", "verifier=/v"]
    with pytest.raises(ConfigError, match="needs a GPU"):
        replace(sglang, device=device_of("cpu:64")).words()
    assert "adapter=policy,tokenizer=a/model,parameters=7615616512" in sglang.spec("policy")


def test_fp8_quantizes_the_weights():
    demand = replace(POLICY, precision=PRECISIONS["fp8"])
    (launch,) = launches("vllm", planned(DEVICES["l40s"], [[demand]]))
    assert option(launch.words(), "--quantization") == "fp8"
    assert "--dtype" not in launch.words()


def test_an_unknown_engine_lists_the_known_ones():
    with pytest.raises(ConfigError, match="sglang, vllm"):
        kind_of("llama.cpp")
