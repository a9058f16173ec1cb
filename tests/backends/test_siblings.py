"""Siblings and cousins: who begins like somebody else lets that one go first, and nobody else."""

import anyio
import pytest

from tts.backends.remote.siblings import CHUNK, Siblings

pytestmark = pytest.mark.anyio

STEM = tuple(range(3 * CHUNK))
TOKEN = 0.3
"""Seconds to the first token: so long that a busy machine makes no difference."""


class Engine:
    """Takes one `TOKEN` for the first token, and three for the rest."""

    def __init__(self) -> None:
        self.siblings = Siblings()
        self.begun: dict[str, float] = {}
        self.ahead: list[str] = []
        self.start = anyio.current_time()

    async def ask(self, name: str, prompt: tuple[int, ...], *, fails: bool = False) -> None:
        async with self.siblings.ahead(prompt) as begun:
            self.begun[name] = (anyio.current_time() - self.start) / TOKEN
            if begun is not None:
                self.ahead.append(name)
            await anyio.sleep(TOKEN)
            if fails:
                return
            if begun is not None:
                begun()
            await anyio.sleep(3 * TOKEN)

    async def ask_all(self, prompts: dict[str, tuple[int, ...]]) -> None:
        async with anyio.create_task_group() as group:
            for name, prompt in prompts.items():
                group.start_soon(self.ask, name, prompt)


async def test_cousins_wait_for_what_they_share_and_then_go_side_by_side() -> None:
    engine = Engine()
    cousins = {str(n): (*STEM, 900 + n, *range(40)) for n in range(5)}
    await engine.ask_all({**cousins, "stranger": (7, *STEM)})
    assert max(engine.begun["0"], engine.begun["stranger"]) < 0.5
    later = [engine.begun[str(n)] for n in range(1, 5)]
    # Each of them has an end of its own to compute: nobody waits for that.
    assert all(0.5 < time < 2.5 for time in later), engine.begun


async def test_siblings_wait_for_the_first_token_and_no_longer() -> None:
    engine = Engine()
    await engine.ask_all(dict.fromkeys("abcd", STEM))
    assert engine.ahead == ["a"]
    assert all(0.5 < engine.begun[name] < 2.5 for name in "bcd")


async def test_who_goes_on_from_what_is_known_waits_for_nothing() -> None:
    engine = Engine()
    engine.siblings.know(STEM)
    await engine.ask_all(dict.fromkeys("abcd", STEM))
    assert not engine.ahead
    engine.siblings.forget()
    await engine.ask_all(dict.fromkeys("ab", STEM))
    assert engine.ahead == ["a"]


async def test_where_the_first_fails_the_next_goes_ahead() -> None:
    engine = Engine()
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: engine.ask("a", STEM, fails=True))
        await anyio.sleep(0.01)
        for name in "bc":
            group.start_soon(engine.ask, name, STEM)
    assert engine.ahead == ["a", "b"]


async def test_who_comes_after_the_first_token_waits_for_nothing_though_all_was_forgotten() -> None:
    engine = Engine()
    async with anyio.create_task_group() as group:
        group.start_soon(engine.ask, "a", STEM)
        await anyio.sleep(2 * TOKEN)  # its first token is there, the rest is not
        engine.siblings.forget()
        group.start_soon(engine.ask, "b", STEM)
    assert engine.ahead == ["a", "b"]
    assert engine.begun["b"] < 3
