"""What every backend must hold, a real server and the fake alike."""

from __future__ import annotations

import math
from typing import ClassVar

import anyio
import pytest

from tts.backends.base import Backend, Ending, Request, Sampling
from tts.budget.meter import Meter
from tts.errors import Overlong, Unavailable

QUESTION = "Evaluate 12 + 30 * 2."


@pytest.mark.anyio
class BackendContract:
    """Inherit, and give the fixture `backend`: opened, of a model that can be asked `QUESTION`."""

    seeds_decide: ClassVar[bool] = True
    """Whether a sample follows from its seed alone; some engines promise it only when greedy."""

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    @pytest.fixture
    def backend(self) -> Backend:
        raise NotImplementedError("give a fixture `backend`")

    @pytest.fixture
    def prompt(self, backend: Backend) -> tuple[int, ...]:
        return backend.tokenizer.chat([{"role": "user", "content": QUESTION}])

    @pytest.mark.parametrize("text", ["", "12 + 30 = 42, so x.\n\n", "Größe 😀", "\\boxed{Yes}"])
    async def test_text_survives_the_tokenizer(self, backend: Backend, text: str) -> None:
        assert backend.tokenizer.decode(backend.tokenizer.encode(text)) == text

    async def test_gives_a_sample_for_each_seed(
        self, backend: Backend, prompt: tuple[int, ...]
    ) -> None:
        meter = Meter()
        generation = await backend.generate(Request(prompt, 20, seeds=(1, 2, 3)), meter)
        assert len(generation.samples) == 3
        for sample in generation.samples:
            assert 1 <= len(sample.token_ids) <= 20
            assert sample.logprob <= 0
            assert backend.tokenizer.decode(sample.token_ids) == sample.text
            if sample.logprobs:
                assert len(sample.logprobs) == len(sample.token_ids)
                assert math.isclose(math.fsum(sample.logprobs), sample.logprob, abs_tol=1e-3)

    async def test_books_exactly_what_it_gave(
        self, backend: Backend, prompt: tuple[int, ...]
    ) -> None:
        meter = Meter()
        request = Request(prompt, 20, seeds=(1, 2))
        generation = await backend.generate(request, meter)
        cost = generation.cost
        assert meter.cost == cost
        assert cost.prompt_tokens == len(prompt)
        assert 0 <= cost.cached_tokens <= cost.prompt_tokens
        assert cost.output_tokens == sum(len(s.token_ids) for s in generation.samples)
        assert (cost.samples, cost.calls) == (2, 1)

    async def test_the_same_seed_gives_the_same_tokens(
        self, backend: Backend, prompt: tuple[int, ...]
    ) -> None:
        if not self.seeds_decide:
            pytest.skip("this engine repeats itself only when greedy")
        alone = await backend.generate(Request(prompt, 24, seeds=(7,)), Meter())
        among = await backend.generate(Request(prompt, 24, seeds=(3, 7, 9)), Meter())
        assert alone.samples[0].token_ids == among.samples[1].token_ids

    async def test_greedy_decoding_repeats_itself(
        self, backend: Backend, prompt: tuple[int, ...]
    ) -> None:
        request = Request(prompt, 24, seeds=(1, 2), sampling=Sampling(temperature=0))
        twice = [await backend.generate(request, Meter()) for _ in range(2)]
        first, second = [[sample.token_ids for sample in each.samples] for each in twice]
        assert first == second

    async def test_a_stop_string_ends_a_sample_and_is_kept(
        self, backend: Backend, prompt: tuple[int, ...]
    ) -> None:
        whole = (await backend.generate(Request(prompt, 60, seeds=(5,)), Meter())).samples[0]
        stop = whole.text[4:6]
        cut = await backend.generate(Request(prompt, 60, seeds=(5,), stop=(stop,)), Meter())
        sample = cut.samples[0]
        assert sample.ending is Ending.STOP
        assert stop in sample.text
        if self.seeds_decide:
            assert whole.text.startswith(sample.text)
            assert stop not in backend.tokenizer.decode(sample.token_ids[:-1])

    async def test_a_stop_id_ends_a_sample_and_is_kept(
        self, backend: Backend, prompt: tuple[int, ...]
    ) -> None:
        whole = (await backend.generate(Request(prompt, 60, seeds=(5,)), Meter())).samples[0]
        stop = whole.token_ids[3]
        cut = await backend.generate(Request(prompt, 60, seeds=(5,), stop_ids=(stop,)), Meter())
        assert cut.samples[0].ending is Ending.STOP
        assert cut.samples[0].token_ids[-1] == stop

    async def test_max_tokens_cuts(self, backend: Backend, prompt: tuple[int, ...]) -> None:
        sample = (await backend.generate(Request(prompt, 3), Meter())).samples[0]
        assert sample.ending is Ending.LENGTH
        assert len(sample.token_ids) == 3

    async def test_gives_raw_logprobs_of_chosen_ids_at_the_first_position(
        self, backend: Backend, prompt: tuple[int, ...]
    ) -> None:
        chosen = tuple(sorted(set(backend.tokenizer.encode("Yes No 1"))))
        cold = Request(prompt, 1, logprob_ids=chosen, sampling=Sampling(temperature=0.01))
        warm = Request(prompt, 1, logprob_ids=chosen)
        first, second = [
            (await backend.generate(request, Meter())).samples[0].first_logprobs
            for request in (cold, warm)
        ]
        assert len(first) == len(chosen)
        assert all(each <= 0 for each in first)
        assert first == pytest.approx(second, abs=2e-2)

    async def test_an_overlong_prompt_is_refused(self, backend: Backend) -> None:
        ids = backend.tokenizer.encode("1") * (backend.model.context_tokens + 1)
        with pytest.raises(Overlong):
            await backend.generate(Request(ids, 1), Meter())

    async def test_a_cancelled_call_books_at_most_its_bound(
        self, backend: Backend, prompt: tuple[int, ...]
    ) -> None:
        meter = Meter()
        request = Request(prompt, 200, seeds=tuple(range(8)))
        with anyio.move_on_after(0.005):
            await backend.generate(request, meter)
        assert meter.cost.output_tokens <= request.bound.output_tokens
        assert meter.cost.prompt_tokens <= request.bound.prompt_tokens
        again = await backend.generate(Request(prompt, 2), Meter())
        assert len(again.samples[0].token_ids) == 2

    async def test_many_at_once_are_served_alike(
        self, backend: Backend, prompt: tuple[int, ...]
    ) -> None:
        if not self.seeds_decide:
            pytest.skip("this engine repeats itself only when greedy")
        texts: dict[int, str] = {}

        async def ask(seed: int) -> None:
            request = Request(prompt, 12 + seed % 5, seeds=(seed % 4,))
            texts[seed] = (await backend.generate(request, Meter())).samples[0].text

        async with anyio.create_task_group() as group:
            for seed in range(40):
                group.start_soon(ask, seed)
        for seed in range(20):  # the same seed and length, twenty requests apart
            assert texts[seed] == texts[seed + 20]

    async def test_closes_twice_and_is_then_gone(
        self, backend: Backend, prompt: tuple[int, ...]
    ) -> None:
        await backend.aclose()
        await backend.aclose()
        with pytest.raises(Unavailable):
            await backend.generate(Request(prompt, 1), Meter())
