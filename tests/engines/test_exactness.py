"""Greedy decoding gives the same tokens through every engine, but where two are all but tied."""

from collections.abc import Sequence
from typing import Any

import pytest

from tts.registry import open_backend
from tts.testing.agreement import greedy_agreement
from tts_nano import open_nano
from tts_nano.backend import SHIPPED
from tts_nano.problems import FAMILIES, generate

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300), pytest.mark.anyio]

TIED = 1e-4
"""Nats. All engines compute in float32 here."""


@pytest.fixture
def problems() -> Sequence[str]:
    return [
        generate(family, level, seed, "dev").prompt
        for family in FAMILIES
        for level in (2, 4, 6)
        for seed in range(8)
    ]


async def check(other: Any, problems: Sequence[str], record: Any) -> None:
    nano = open_nano()
    prompts = [nano.tokenizer.chat([{"role": "user", "content": each}]) for each in problems]
    try:
        found = await greedy_agreement(nano, other, prompts)
    finally:
        await nano.aclose()
    record("agreement", repr(found))
    assert all(gap < TIED for gap in found.gaps)
    assert found.same >= 0.9 * found.prompts
    assert found.off < 1e-3


async def test_greedy_tokens_of_a_server_are_those_of_the_embedded_engine(
    server: Any, problems: Sequence[str], record_property: Any
) -> None:
    remote = open_backend(server.spec)
    try:
        await check(remote, problems, record_property)
    finally:
        await remote.aclose()


async def test_greedy_tokens_of_transformers_are_those_of_the_embedded_engine(
    problems: Sequence[str], record_property: Any
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    local = open_backend(f"transformers:{SHIPPED / 'policy'},device=cpu")
    try:
        await check(local, problems, record_property)
    finally:
        await local.aclose()


async def test_greedy_tokens_of_an_engine_in_this_process_are_those_of_the_embedded_one(
    inprocess: Any, problems: Sequence[str], record_property: Any
) -> None:
    await check(inprocess, problems, record_property)
