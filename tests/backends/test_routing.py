"""Several copies: a prefix goes where it is cached, and who dies is left out until it answers."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import anyio
import pytest

from tts.backends.base import Backend, Generation, ModelInfo, Request, Tokenizer
from tts.backends.fake import FakeBackend
from tts.backends.remote.facts import Known
from tts.backends.remote.opening import Terms, connect_all
from tts.backends.remote.refusal import Away
from tts.backends.remote.routing import Several
from tts.backends.remote.vllm import VLLM
from tts.budget.meter import Meter
from tts.errors import ConfigError, Unavailable
from tts.testing.servers import VLLMServer
from tts.types import FREE, Cost
from tts_nano.backend import SHIPPED

pytestmark = pytest.mark.anyio


class Copy:
    """A fake engine that can be away."""

    def __init__(self, *, parameters: int = 1000) -> None:
        self._fake = FakeBackend(parameters=parameters)
        self.asked: list[Request] = []
        self.away = False
        self.hesitates = 0.0
        """Seconds until it is known that it is away."""
        self.load = 0
        self.pinged = 0

    @property
    def model(self) -> ModelInfo:
        return self._fake.model

    @property
    def tokenizer(self) -> Tokenizer:
        return self._fake.tokenizer

    async def answers(self) -> bool:
        self.pinged += 1
        return not self.away

    async def generate(self, request: Request, meter: Meter) -> Generation:
        if self.away:
            await anyio.sleep(self.hesitates)
            raise Away("it cannot be reached")
        self.asked.append(request)
        return await self._fake.generate(request, meter)

    async def aclose(self) -> None:
        await self._fake.aclose()


def prompt(number: int) -> tuple[int, ...]:
    return tuple(map(ord, f"A preamble that all problems share. Problem {number}: " + "x" * 80))


@pytest.fixture
def copies() -> list[Copy]:
    return [Copy() for _ in range(3)]


@pytest.fixture
def several(copies: list[Copy]) -> Several:
    return Several([(f"http://{n}", copy) for n, copy in enumerate(copies)], patience=0.3)


def counts(copies: Sequence[Copy]) -> list[int]:
    return [len(copy.asked) for copy in copies]


async def test_siblings_meet_and_problems_spread(several: Several, copies: list[Copy]) -> None:
    for number in range(30):
        for seed in range(4):
            await several.generate(Request(prompt(number), 8, (seed,)), Meter())
    for copy in copies:
        asked = [request.prompt for request in copy.asked]
        assert all(asked.count(each) == 4 for each in asked)
        assert len(set(asked)) >= 4


async def test_a_next_step_goes_where_its_prefix_is(several: Several, copies: list[Copy]) -> None:
    for number in range(10):
        ids = prompt(number)
        for depth in range(4):
            sample = (await several.generate(Request(ids, 20, (depth,)), Meter())).samples[0]
            ids += sample.token_ids
        paths = [sum(r.prompt[: len(prompt(number))] == prompt(number) for r in copy.asked)
                 for copy in copies]  # fmt: skip
        assert sorted(paths) == [0, 0, 4]


async def test_one_with_far_more_to_do_is_passed_over(several: Several, copies: list[Copy]) -> None:
    await several.generate(Request(prompt(0), 8), Meter())
    (home,) = [copy for copy in copies if copy.asked]
    home.load = 20
    await several.generate(Request(prompt(0), 8), Meter())
    assert len(home.asked) == 1
    assert sum(counts(copies)) == 2


async def test_what_a_dead_one_had_not_begun_goes_elsewhere_and_is_paid_once(
    several: Several, copies: list[Copy]
) -> None:
    for copy in copies[1:]:
        copy.away = True
    meter = Meter()
    for number in range(12):
        await several.generate(Request(prompt(number), 8), meter)
    assert counts(copies) == [12, 0, 0]
    assert meter.cost.calls == 12


async def test_one_that_answers_again_is_used_again(several: Several, copies: list[Copy]) -> None:
    copies[0].away = True
    for number in range(12):
        await several.generate(Request(prompt(number), 8), Meter())
    assert not copies[0].asked
    copies[0].away = False
    await anyio.sleep(0.6)
    for number in range(12, 36):
        await several.generate(Request(prompt(number), 8), Meter())
    assert copies[0].asked
    assert copies[0].pinged == 1


async def test_when_all_are_away_it_waits_and_then_names_them(
    several: Several, copies: list[Copy]
) -> None:
    for copy in copies:
        copy.away = True
    meter = Meter()
    with pytest.raises(Unavailable, match="http://0 and http://1 and http://2"):
        await several.generate(Request(prompt(0), 8), meter)
    assert meter.cost == FREE


async def test_what_a_dying_one_had_begun_is_not_repeated(several: Several) -> None:
    class Dying(Copy):
        async def generate(self, request: Request, meter: Meter) -> Generation:
            meter.cost += Cost(output_tokens=3)
            raise Unavailable("the connection was lost")

    dying = [Dying(), Dying()]
    both = Several([("http://a", dying[0]), ("http://b", dying[1])], patience=0.1)
    meter = Meter()
    with pytest.raises(Unavailable, match="lost"):
        await both.generate(Request(prompt(0), 8), meter)
    assert meter.cost.output_tokens == 3


def test_copies_of_different_models_are_refused() -> None:
    with pytest.raises(ConfigError, match="http://a and http://b do not serve the same model"):
        Several([("http://a", Copy()), ("http://b", Copy(parameters=7))], patience=1)


class TestServers:
    @pytest.fixture
    async def stacks(self) -> AsyncIterator[list[AsyncExitStack]]:
        """What keeps each of the servers up."""
        async with AsyncExitStack() as first, AsyncExitStack() as second:
            yield [first, second]

    @pytest.fixture
    async def servers(self, nano: Backend, stacks: list[AsyncExitStack]) -> list[VLLMServer]:
        made = [VLLMServer(nano, str(SHIPPED / "policy")) for _ in stacks]
        for server, stack in zip(made, stacks, strict=True):
            await stack.enter_async_context(server.running())
        return made

    async def test_a_server_that_goes_down_is_left_out(
        self, servers: list[VLLMServer], stacks: list[AsyncExitStack], terms: Terms
    ) -> None:
        several = await connect_all([s.url for s in servers], terms, Known(), VLLM)
        await stacks[0].aclose()
        servers[1].asked.clear()
        meter = Meter()
        for number in range(12):
            ids = several.tokenizer.chat([{"role": "user", "content": f"Evaluate {number} + 2."}])
            await several.generate(Request(ids, 2), meter)
        assert len(servers[1].asked) == 12
        assert meter.cost.output_tokens == 24
        await several.aclose()

    async def test_all_that_are_down_are_named_when_opened(
        self, servers: list[VLLMServer], terms: Terms
    ) -> None:
        addresses = [servers[0].url, "http://127.0.0.1:9", "http://127.0.0.1:10"]
        with pytest.raises(Unavailable, match=r"127.0.0.1:9: cannot.*127.0.0.1:10: cannot"):
            await connect_all(addresses, terms, Known(), VLLM)

    async def test_two_servers_share_the_work(
        self, servers: list[VLLMServer], terms: Terms
    ) -> None:
        several = await connect_all([s.url for s in servers], terms, Known(), VLLM)
        for server in servers:
            server.asked.clear()
        for number in range(12):
            ids = several.tokenizer.chat([{"role": "user", "content": f"Evaluate {number} + 2."}])
            await several.generate(Request(ids, 2), Meter())
        assert all(server.asked for server in servers)
        await several.aclose()
        with pytest.raises(Unavailable):
            await several.generate(Request((1, 2), 1), Meter())


async def test_what_a_search_knows_of_a_prompt_is_not_charged_behind_copies() -> None:
    several = Several([("http://a", Copy()), ("http://b", Copy())], patience=1)
    request = Request(prompt(1), 8)
    meter = Meter(known=len(request.prompt) - 1)
    await several.generate(request, meter)
    assert meter.cost.prompt_tokens == len(request.prompt)
    assert meter.cost.recomputed_tokens == len(request.prompt) - 1


async def test_many_requests_that_hear_of_one_outage_count_it_once(
    several: Several, copies: list[Copy]
) -> None:
    for copy in copies:
        copy.away, copy.hesitates = True, 0.1

    async def ask(number: int) -> None:
        with pytest.raises(Unavailable):
            await several.generate(Request(prompt(number), 8), Meter())

    async with anyio.create_task_group() as group:
        for number in range(4000):
            group.start_soon(ask, number)
    for copy in copies:
        copy.away = False
    await anyio.sleep(1.5)  # the longest time out after two outages in a row
    await several.generate(Request(prompt(0), 8), Meter())
