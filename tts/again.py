"""Again: what was lost together with its engine is asked for again, under a hold of its own.

A request that was under way when its server died may have been paid for: it is booked at its bound.
The sample is still owed, and comes from the same seed when the server is back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from tts.errors import Lost

Found = TypeVar("Found")

TIMES: Final = 3
"""How often the same is asked for again: a request by which servers die must not kill them all."""


async def again(attempt: Callable[[], Awaitable[Found]], tell: Callable[[Lost], None]) -> Found:
    """What `attempt` returns, called again when it was lost; `tell` hears of each loss.

    Raises:
        Lost: too often.
    """
    for _ in range(TIMES):
        try:
            return await attempt()
        except Lost as error:
            tell(error)
    return await attempt()
