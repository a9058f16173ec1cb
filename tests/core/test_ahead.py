"""Speculation: steps that are written while the verdict before them is outstanding."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest

from tests.core.test_hands import Does
from tts import Engine
from tts.backends.base import Request
from tts.backends.fake import FakeBackend
from tts.budget.budget import Budget
from tts.errors import BadReply, ConfigError
from tts.events import Held, Settled, StopReason
from tts.function import FunctionVerifier
from tts.policy import LanguagePolicy
from tts.result import Result
from tts.strategy import Manner, Node, Search
from tts.testing import Bench
from tts.testing.bench import Opinions
from tts.types import POLICY, VERIFIER, Key

WRITING, VERDICT = 1.0, 3.0


def script(text: str, seed: int) -> str:
    return "a\n\nb\n\nc\n\n\\boxed{1}"[len(text) :]


def solve(what, ahead: int, budget: Budget | None = None, writing: float = WRITING) -> Result:
    return Bench(
        script=script,
        delay=lambda request, seed: writing,
        verifier=Opinions(seconds=VERDICT),
        speculate=ahead,
    ).solve(Does(what), budget)


async def chain(search: Search) -> None:
    node = search.root
    while not node.finished:
        (node,) = await search.expand(node)


async def _first_child(search: Search, node: Node) -> Node:
    (child,) = await search.expand(node)
    return child


def written(result: Result) -> list[Key]:
    """Keys of the steps for which the policy was asked, in the order in which it began."""
    return [e.key for e in result.events if isinstance(e, Held) and POLICY in e.bounds]


def test_a_chain_writes_its_next_step_while_it_waits_for_the_verdict() -> None:
    plain, ahead = solve(chain, 0), solve(chain, 1)
    assert plain.spend.seconds == pytest.approx(4 * (WRITING + VERDICT))
    assert ahead.spend.seconds == pytest.approx(WRITING + 4 * VERDICT)
    assert ahead.spend.total == plain.spend.total
    assert ahead.spend.waste.tokens == 0
    assert sorted(written(ahead)) == sorted(written(plain))


def test_it_is_kept_by_the_first_child_alone() -> None:
    async def explore(search: Search) -> None:
        (first,) = await search.expand(search.root)
        await search.expand(first, 3)

    result = solve(explore, 9)
    assert written(result).count((0, 0)) == 1
    assert {(0, 0), (0, 1), (0, 2)} <= set(written(result))


def test_what_nobody_asks_for_is_paid_and_told_as_waste() -> None:
    async def explore(search: Search) -> None:
        await search.expand(search.root, 2)
        await search.complete(search.root)

    plain, ahead = solve(explore, 0), solve(explore, 9)
    assert len(ahead.tree) == len(plain.tree)
    extra = ahead.spend.total.tokens - plain.spend.total.tokens
    begun = {key for key in written(ahead) if len(key) == 2}
    assert begun
    assert extra == ahead.spend.waste.tokens - plain.spend.waste.tokens
    assert extra == len(begun) * len("b\n\n")


def test_what_its_batch_has_passed_over_is_cancelled() -> None:
    kept_keys: list[Key] = []

    async def explore(search: Search) -> None:
        # The likeliest is always gone on from, so that there is one to pass over.
        kept = min(await search.expand(search.root, 6), key=lambda node: node.step.logprob)
        kept_keys.append(kept.key)
        await search.complete(await _first_child(search, kept))

    result = solve(explore, 9, writing=20.0)  # verdicts are sooner than what is written meanwhile
    about = {event.hold: event.key for event in result.events if isinstance(event, Held)}
    wasted = {
        about[event.hold]
        for event in result.events
        if isinstance(event, Settled) and event.wasted.calls
    }
    passed_over = {key for key in written(result) if len(key) == 2} - {(*kept_keys[0], 0)}
    assert passed_over
    assert passed_over <= wasted
    assert (*kept_keys[0], 0) not in wasted


def test_a_step_asked_for_in_another_manner_is_another_step() -> None:
    async def explore(search: Search) -> None:
        (first,) = await search.expand(search.root)
        await search.expand(first, manner=Manner(temperature=0))

    result = solve(explore, 1)
    assert written(result).count((0, 0)) == 2
    assert result.tree[0, 0].manner == Manner(temperature=0)


def test_no_more_are_written_at_once_than_is_allowed() -> None:
    async def explore(search: Search) -> None:
        await search.expand(search.root, 8)

    number = {ahead: len(written(solve(explore, ahead))) for ahead in (0, 1, 3)}
    assert number[1] == number[0] + 1
    assert number[3] == number[0] + 3


def test_it_takes_no_room_that_a_search_waits_for() -> None:
    async def explore(search: Search) -> None:
        await search.expand(search.root)

    bound = 64 + 2 * 10  # of a step and of its verdict
    roomy, tight = (solve(explore, 1, Budget(tokens=tokens)) for tokens in (400, bound + 29))
    assert written(roomy)[1] == (0, 0)
    held = [set(event.bounds) for event in tight.events if isinstance(event, Held)]
    assert {POLICY, VERIFIER} in held
    settled = [event.account for event in tight.events if isinstance(event, Settled)]
    assert settled[:2] == [POLICY, VERIFIER]  # nothing was written before the verdict


def test_a_step_kept_from_before_is_judged_under_a_hold_of_its_own() -> None:
    result = solve(chain, 1)
    bounds = [event.bounds for event in result.events if isinstance(event, Held)]
    assert [set(each) for each in bounds].count({VERIFIER}) == 3


def test_the_knob_of_the_engine_is_checked() -> None:
    with pytest.raises(ConfigError, match="speculate=-1"):
        Engine("fake", speculate=-1)


@pytest.mark.anyio
async def test_a_step_that_nobody_asked_for_may_fail() -> None:
    def write(text: str, seed: int) -> str:
        return ("good 1" if seed % 2 else "bad") + "\n\n\\boxed{1}" if not text else "\\boxed{1}"

    def fault(request: Request) -> Exception | None:
        pruned = "".join(map(chr, request.prompt)).endswith("bad\n\n")
        return BadReply("nobody wants it") if pruned else None

    async def score(prompt: str, steps: Sequence[str]) -> list[float | None]:
        await anyio.sleep(0.05)
        return [0.9 if "1" in step else 0.2 for step in steps]

    backend = FakeBackend(write, fault=fault, delay=lambda request, seed: 0.01)
    async with Engine(LanguagePolicy(backend), FunctionVerifier(score), speculate=9) as engine:
        result = await engine.solve("What?", "beam:n=8,width=4", Budget(tokens=10_000))
    assert (result.stop_reason, result.answer) == (StopReason.DONE, "1")
