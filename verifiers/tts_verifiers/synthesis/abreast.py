"""Abreast: many items of a long job side by side, a few at a time; the first error ends all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio

from tts.errors import ConfigError, TTSError, leaves

Item = TypeVar("Item")


async def abreast(
    items: Sequence[Item], work: Callable[[Item], Awaitable[None]], at_once: int
) -> None:
    """Await `work` on each item; they begin in their order.

    Raises:
        ConfigError: `at_once` is below 1.
        TTSError: the first that `work` raised.
    """
    if at_once < 1:
        raise ConfigError(f"at_once={at_once} must be at least 1")
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    try:
        async with anyio.create_task_group() as group:
            for _ in range(min(at_once, len(items))):
                group.start_soon(worker)
    except* TTSError as errors:
        raise leaves(errors)[0] from None
