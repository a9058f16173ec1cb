"""Replies: what servers said that they took, counted on the line itself, beside our own books."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio

from tts.backends.remote.line import Line
from tts.backends.remote.refusal import Unbegun


@dataclass
class Replies:
    """Completions asked of vLLM servers. `install` puts it on every line."""

    served: list[dict[str, Any]] = field(default_factory=list)
    """`usage` of each reply, with the `url` that it came from."""
    lost: list[int] = field(default_factory=list)
    """The most tokens of each request that was sent and never answered."""
    prompts: int = 0
    """Tokens of all prompts that were sent, answered or not."""
    urls: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    """Where each prompt that was answered went."""
    news: anyio.Event = field(default_factory=anyio.Event)

    @property
    def output(self) -> int:
        """Tokens that the servers say they wrote."""
        return sum(usage["completion_tokens"] for usage in self.served)

    def clear(self) -> None:
        """Forget what was counted: opening a server costs it a few tokens that nobody books."""
        self.served.clear()
        self.lost.clear()
        self.urls.clear()
        self.prompts = 0

    async def reach(self, served: int) -> None:
        """Wait for so many replies."""
        while len(self.served) < served:
            await self.news.wait()

    def install(self, set_attribute: Callable[[object, str, object], None]) -> None:
        """Listen to every line, by pytest's `monkeypatch.setattr`."""
        post = Line.post

        async def counted(line: Line, route: str, body: Mapping[str, Any]) -> Any:
            if route != "/v1/completions":
                return await post(line, route, body)
            try:
                reply = await post(line, route, body)
            except Unbegun:
                raise
            except BaseException:
                self.lost.append(body["max_tokens"])
                self.prompts += len(body["prompt"])
                raise
            self.prompts += len(body["prompt"])
            self.served.append({**reply["usage"], "url": line.url})
            self.urls.append((line.url, tuple(body["prompt"])))
            news, self.news = self.news, anyio.Event()
            news.set()
            return reply

        set_attribute(Line, "post", counted)
