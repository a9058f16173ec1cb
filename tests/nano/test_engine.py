"""Continuous batching: whoever else is served, and whatever is cached, a sample is the same."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from tts.backends.base import Ending, Request, Sampling
from tts.backends.tokenizer import FolderTokenizer
from tts.types import FREE, Cost
from tts_nano.blocks import BLOCK
from tts_nano.engine import Engine
from tts_nano.job import Job
from tts_nano.model import Model

Open = Callable[..., Engine]


@pytest.fixture(scope="module")
def model(tiny: Path) -> Model:
    return Model.load(tiny)


@pytest.fixture(scope="module")
def open_engine(model: Model, tiny: Path) -> Open:
    tokenizer = FolderTokenizer(tiny, 300)

    def make(cache_bytes: int = 1 << 26, max_batch: int = 32) -> Engine:
        return Engine(model, tokenizer, cache_bytes=cache_bytes, max_batch=max_batch)

    return make


def serve(engine: Engine, requests: Iterable[Request]) -> list[Job]:
    jobs = [engine.submit(request) for request in requests]
    while engine.busy:
        engine.step()
    engine.check_idle()
    return jobs


def prompt_of(length: int, seed: int = 0) -> tuple[int, ...]:
    return tuple(np.random.default_rng(seed).integers(3, 259, length).tolist())


def tokens_of(job: Job) -> list[tuple[int, ...]]:
    return [sample.token_ids for sample in job.generation.samples]


def total(jobs: Iterable[Job]) -> Cost:
    return sum((job.cost for job in jobs), start=FREE)


# The same tokens


def test_siblings_in_one_request_or_many_alone_or_together_are_the_same(open_engine: Open) -> None:
    prompt, seeds = prompt_of(75), tuple(range(20))
    together = tokens_of(serve(open_engine(), [Request(prompt, 40, seeds)])[0])
    apart = serve(open_engine(), [Request(prompt, 40, (seed,)) for seed in seeds])
    assert [tokens_of(job)[0] for job in apart] == together
    for seed in seeds[:6]:  # nothing cached, nobody else
        alone = serve(open_engine(cache_bytes=0), [Request(prompt, 40, (seed,))])
        assert tokens_of(alone[0])[0] == together[seed]


def test_logprobs_have_the_same_bits_where_blas_allows(model: Model, open_engine: Open) -> None:
    prompt, seeds = prompt_of(75), tuple(range(20))
    together = serve(open_engine(), [Request(prompt, 40, seeds)])[0].generation.samples
    for seed in seeds[:6]:
        alone = serve(open_engine(cache_bytes=0), [Request(prompt, 40, (seed,))])
        logprobs = alone[0].generation.samples[0].logprobs
        if model.exact:
            assert logprobs == together[seed].logprobs
        else:
            assert logprobs == pytest.approx(together[seed].logprobs, abs=1e-4)


def test_going_on_from_a_path_is_like_reading_it_anew(open_engine: Open) -> None:
    engine = open_engine()
    path = prompt_of(50)
    for step in range(6):  # each prompt: the one before and what came out of it
        job = serve(engine, [Request(path, 9, (step, 100 + step))])[0]
        anew = serve(open_engine(cache_bytes=0), [Request(path, 9, (step, 100 + step))])[0]
        assert tokens_of(job) == tokens_of(anew)
        path += tokens_of(job)[0]


REQUESTS = st.lists(
    st.tuples(
        st.integers(1, 90),  # tokens of the prompt
        st.integers(0, 2),  # which text it is cut from
        st.integers(1, 25),  # most tokens
        st.integers(1, 4),  # samples
        st.sampled_from([Sampling(), Sampling(0.0), Sampling(0.7, 0.9), Sampling(1.2, 1.0, 8)]),
        st.integers(0, 12),  # steps before it comes
    ),
    min_size=1,
    max_size=14,
)
ALONE: dict[Any, list[tuple[int, ...]]] = {}


@given(REQUESTS, st.sampled_from([0, 40_000, 400_000, 1 << 26]), st.sampled_from([1, 3, 16, 40]))
def test_any_traffic_gives_every_request_what_it_gets_alone(
    open_engine: Open, traffic: list[Any], cache_bytes: int, max_batch: int
) -> None:
    engine = open_engine(cache_bytes, max_batch)
    jobs: dict[Job, Any] = {}
    pending = sorted(traffic, key=lambda each: int(each[5]))
    clock = 0
    while pending or engine.busy:
        while pending and pending[0][5] <= clock:
            length, text, most, width, sampling, _ = pending.pop(0)
            request = Request(prompt_of(90, text)[:length], most, tuple(range(width)), sampling)
            jobs[engine.submit(request)] = (length, text, most, width, sampling)
        engine.step()
        clock += 1
    engine.check_idle()
    for job, which in jobs.items():
        if which not in ALONE:
            ALONE[which] = tokens_of(serve(open_engine(0, 1), [job.request])[0])
        assert tokens_of(job) == ALONE[which]
        assert job.cost.prompt_tokens == len(job.request.prompt)
        assert 0 <= job.cost.cached_tokens <= job.cost.prompt_tokens
        assert job.cost.output_tokens == sum(map(len, tokens_of(job)))


# What is computed


def test_each_token_of_best_of_n_is_computed_once(open_engine: Open) -> None:
    prompt = prompt_of(100)
    jobs = serve(open_engine(max_batch=64), [Request(prompt, 30, (seed,)) for seed in range(64)])
    cost = total(jobs)
    assert cost.prompt_tokens - cost.cached_tokens == 100
    again = serve(open_engine(max_batch=7), [Request(prompt, 30, tuple(range(64)))])[0]
    assert again.cost == Cost(100, 0, sum(len(t) for job in jobs for t in tokens_of(job)), 64, 1)


def test_each_token_of_a_beam_is_computed_once(open_engine: Open) -> None:
    engine = open_engine(max_batch=64)
    unique, computed = set[tuple[int, ...]](), 0
    level = [prompt_of(60)]
    for depth in range(6):
        requests = [
            Request(prefix, 12, (1000 * depth + 10 * i + k,))
            for i, prefix in enumerate(level)
            for k in range(16 if depth == 0 else 4)
        ]
        jobs = serve(engine, requests)
        computed += sum(job.cost.prompt_tokens - job.cost.cached_tokens for job in jobs)
        level = []
        for job in jobs:
            path = job.request.prompt + tokens_of(job)[0]
            unique |= {path[:end] for end in range(1, len(path) + 1)}
            if job.generation.samples[0].ending is Ending.LENGTH:
                level.append(path)
        level = level[:: max(1, len(level) // 4)][:4] * 4 if depth % 2 else level[:16]
    # What came out of a step is in its successor's prompt but was computed while decoding,
    # except for the last token, which nobody had asked for then.
    assert computed <= 60 + 6 * 16
    assert computed <= 0.2 * len(unique)


def test_siblings_of_a_cached_prompt_compute_nothing(open_engine: Open) -> None:
    engine = open_engine()
    prompt = prompt_of(70)
    serve(engine, [Request(prompt, 5, (0,))])
    later = serve(engine, [Request(prompt, 5, (n,)) for n in range(1, 9)])
    assert total(later).cached_tokens == total(later).prompt_tokens == 8 * 70


def test_prompts_with_a_common_part_read_it_once(open_engine: Open) -> None:
    common = prompt_of(64, 1)
    requests = [Request(common + prompt_of(10, 2 + n), 4) for n in range(10)]
    cost = total(serve(open_engine(), requests))
    assert cost.prompt_tokens - cost.cached_tokens <= 1.05 * (64 + 10 * 10)


def test_a_long_prompt_does_not_keep_others_from_decoding(make_checkpoint: Any) -> None:
    folder = make_checkpoint({"max_position_embeddings": 4096})
    loaded = Model.load(folder)
    engine = Engine(loaded, FolderTokenizer(folder, 300), cache_bytes=1 << 26, max_batch=4)
    short = engine.submit(Request(prompt_of(5), 1000))
    engine.step()
    long = engine.submit(Request(prompt_of(3000), 2))
    steps = 0
    while long.hidden is None:
        before = int(engine._batch.records["count"][0])
        engine.step()
        assert short.ended or int(engine._batch.records["count"][0]) == before + 1
        steps += 1
    assert steps == -(-3000 // 512)


def test_the_shared_prefix_is_read_once_for_all_siblings(open_engine: Open) -> None:
    engine = open_engine(max_batch=32)
    prompt = prompt_of(5 * BLOCK + 3)
    for seed in range(32):
        engine.submit(Request(prompt, 300, (seed,)))
    engine.step()
    engine.step()
    (run,) = engine._batch._in_use
    assert (run.samples, run.count) == (engine._batch.rows, 5)
    assert run.samples > 20


# Limits and endings


def test_a_prompt_that_ends_with_a_shared_block_has_its_last_token_computed(
    open_engine: Open,
) -> None:
    """Another sample wrote it, so that all of it is cached, and not the state after it."""
    engine = open_engine()
    (first,) = serve(engine, [Request(prompt_of(75), 40, (0,))])
    written = prompt_of(75) + tokens_of(first)[0]
    asked = Request(written[: 3 * BLOCK], 20, (7,))
    many = Request((*written[: 3 * BLOCK], 5), 20, tuple(range(20)))
    jobs = [engine.submit(many)]
    engine.step()
    engine.step()
    jobs.append(engine.submit(asked))
    while engine.busy:
        engine.step()
    engine.check_idle()
    for job, request in zip(jobs, (many, asked), strict=True):
        assert tokens_of(job) == tokens_of(serve(open_engine(cache_bytes=0), [request])[0])


def test_the_larger_priority_goes_first(open_engine: Open) -> None:
    engine = open_engine(max_batch=1)
    jobs = [engine.submit(Request(prompt_of(9, n), 3, priority=n % 3)) for n in range(6)]
    order: list[Job] = []
    while engine.busy:
        order += engine.step()
    assert [jobs.index(job) for job in order] == [2, 5, 1, 4, 0, 3]


def test_the_context_ends_a_sample(open_engine: Open) -> None:
    job = serve(open_engine(), [Request(prompt_of(505), 100, (3, 4))])[0]
    for sample in job.generation.samples:
        assert sample.ending is Ending.EOS or len(sample.token_ids) == 512 - 505
    assert any(sample.ending is Ending.LENGTH for sample in job.generation.samples)


def test_stop_ids_and_eos_end_a_sample_and_are_kept(open_engine: Open) -> None:
    whole = serve(open_engine(), [Request(prompt_of(20), 400, (1, 2, 3))])[0].generation.samples
    assert whole[0].ending is Ending.EOS
    assert whole[0].token_ids[-1] == 1
    stop = whole[0].token_ids[5]
    cut = serve(open_engine(), [Request(prompt_of(20), 400, (1,), stop_ids=(stop,))])[0]
    sample = cut.generation.samples[0]
    assert sample.ending is Ending.STOP
    end = whole[0].token_ids.index(stop) + 1
    assert sample.token_ids == whole[0].token_ids[:end]
    assert sample.logprob == pytest.approx(sum(whole[0].logprobs[:end]))


def test_logprobs_of_chosen_ids_are_raw_and_of_the_first_position(open_engine: Open) -> None:
    ids = (5, 17, 200)
    asked: Sequence[Request] = [
        Request(prompt_of(33), 4, (1, 2), Sampling(temperature, top_k=2), logprob_ids=ids)
        for temperature in (1.0, 0.2, 0.0)
    ]
    found = [s.first_logprobs for j in serve(open_engine(), asked) for s in j.generation.samples]
    # Read with the prompt, from the cache, and as the first step of decoding.
    engine = open_engine()
    serve(engine, [Request(prompt_of(32), 1)])
    found += [serve(engine, asked[:1])[0].generation.samples[0].first_logprobs for _ in range(2)]
    for each in found:
        assert each == pytest.approx(found[0], abs=1e-4)
        assert max(each) < 0


# Memory


def many_small(open_engine: Open, count: int) -> None:
    engine = open_engine(cache_bytes=120_000, max_batch=16)
    assert engine.cache.places < 16
    random = np.random.default_rng(0)
    waiting = 0
    for number in range(count):
        start = prompt_of(40, int(random.integers(4)))[: int(random.integers(1, 40))]
        engine.submit(Request((*start, int(random.integers(3, 259))), 1 + number % 3, (number,)))
        waiting += 1
        while waiting > 40:
            waiting -= len(engine.step())
        if number % 500 == 0:
            engine.cache.tree.check(engine.cache.places)
    while engine.busy:
        engine.step()
    engine.check_idle()
    assert engine.cache.tree.evictions > count / 4
    assert engine.cache.size <= 120_000


def test_a_tiny_cache_is_never_exceeded(open_engine: Open) -> None:
    many_small(open_engine, 600)


@pytest.mark.slow
def test_a_tiny_cache_is_never_exceeded_by_ten_thousand_requests(open_engine: Open) -> None:
    many_small(open_engine, 10_000)


# Cancellation


@settings(max_examples=40)
@given(st.integers(0, 1000), st.sampled_from([0, 60_000, 1 << 26]))
def test_cancellations_at_any_moment_leave_nothing_behind(
    open_engine: Open, seed: int, cache_bytes: int
) -> None:
    random = np.random.default_rng(seed)
    engine = open_engine(cache_bytes, 8)
    alive: list[Job] = []
    cancelled: list[Job] = []
    for number in range(30):
        prompt = prompt_of(60, number % 3)[: int(random.integers(1, 60))]
        alive.append(engine.submit(Request(prompt, 20, tuple(range(1 + number % 3)))))
        for _ in range(int(random.integers(0, 3))):
            engine.step()
        if random.random() < 0.7:
            victim = alive.pop(int(random.integers(len(alive))))
            before = victim.ended
            engine.cancel(victim)
            engine.cancel(victim)
            if not before:
                cancelled.append(victim)
    while engine.busy:
        engine.step()
    engine.check_idle()
    assert all(job.ended and None not in job.samples for job in alive)
    for job in cancelled:
        cost, bound = job.cost, job.request.bound
        assert 0 <= cost.cached_tokens <= cost.prompt_tokens <= bound.prompt_tokens
        assert 0 <= cost.output_tokens <= bound.output_tokens
    # The engine goes on as if nothing had been.
    request = Request(prompt_of(60, 1), 20, (5,))
    assert tokens_of(serve(engine, [request])[0]) == tokens_of(serve(open_engine(0), [request])[0])


def test_a_cancelled_job_has_cost_what_it_computed(open_engine: Open) -> None:
    engine = open_engine()
    waiting = engine.submit(Request(prompt_of(40), 50))
    engine.cancel(waiting)
    assert waiting.cost == Cost(samples=1, calls=1)
    running = engine.submit(Request(prompt_of(40), 50, (2, 3)))
    for _ in range(5):
        engine.step()
    engine.cancel(running)
    # The first step reads the prompt, draws from it, and decodes once more.
    assert running.cost == Cost(40, 0, 2 * 6, 2, 1)
    engine.check_idle()


def test_a_leader_that_is_cancelled_lets_its_followers_go_on(open_engine: Open) -> None:
    engine = open_engine(max_batch=8)
    requests = [Request(prompt_of(400) + prompt_of(50 + n, 3), 4) for n in range(4)]
    jobs = [engine.submit(request) for request in requests]
    engine._take_from_queue()
    assert [len(job.followers) for job in jobs] == [3, 0, 0, 0]
    engine.cancel(jobs[0])
    while engine.busy:
        engine.step()
    engine.check_idle()
    assert all(len(job.generation.samples) == 1 for job in jobs[1:])
