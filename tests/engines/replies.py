"""Replies: what servers said that they took, counted on the line itself, beside our own books."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio

from tts.backends.remote.line import Errand, Line
from tts.backends.remote.sglang import Address


@dataclass
class Replies:
    """Completions asked of vLLM and SGLang servers. `install` puts it on every line."""

    served: list[dict[str, Any]] = field(default_factory=list)
    """`usage` of each reply, with the `url` that it came from."""
    lost: list[int] = field(default_factory=list)
    """The most tokens of each request that was sent and never answered."""
    prompts: int = 0
    """Tokens of all prompts that were sent, answered or not."""
    sent: int = 0
    """Requests, answered or not."""
    ended: int = 0
    """Of these, those that came to any end."""
    urls: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    """Where each prompt that was answered went."""
    news: anyio.Event = field(default_factory=anyio.Event)

    @property
    def open(self) -> int:
        """Requests that are under way."""
        return self.sent - self.ended

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

    async def rest(self, seconds: float = 1.0) -> None:
        """Wait until some requests are under way, and for so long nothing else has happened."""
        seen = (0, 0)
        while not self.open or seen != (self.sent, self.ended):
            seen = self.sent, self.ended
            await anyio.sleep(seconds)

    def install(self, set_attribute: Callable[[object, str, object], None]) -> None:
        """Listen to every line, by pytest's `monkeypatch.setattr`."""
        post, reply = Line.post, Address.reply

        async def completed(
            line: Line, route: str, body: Mapping[str, Any], errand: Errand | None = None
        ) -> Any:
            if route != "/v1/completions" or errand is None:
                return await post(line, route, body, errand)
            with self._sent(line.url, errand, body["prompt"], body["max_tokens"]) as hear:
                whole = await post(line, route, body, errand)
                hear(whole["usage"])
            return whole

        async def generated(
            door: Address, body: dict[str, Any], errand: Errand, begun: Any
        ) -> dict[str, Any]:
            most = body["sampling_params"]["max_new_tokens"]
            with self._sent(door._line.url, errand, body["input_ids"], most) as hear:
                whole = await reply(door, body, errand, begun)
                hear(whole["meta_info"])
            return whole

        set_attribute(Line, "post", completed)
        set_attribute(Address, "reply", generated)

    @contextmanager
    def _sent(
        self, url: str, errand: Errand, prompt: list[int], most: int
    ) -> Iterator[Callable[[Mapping[str, Any]], None]]:
        """A request of at most `most` tokens; what it gives is to be told its usage."""

        def hear(usage: Mapping[str, Any]) -> None:
            self.served.append({**usage, "url": url})
            self.urls.append((url, tuple(prompt)))
            news, self.news = self.news, anyio.Event()
            news.set()

        self.sent += 1
        try:
            yield hear
        except BaseException:
            if errand.out:
                self.lost.append(most)
            raise
        finally:
            self.ended += 1
            self.prompts += len(prompt) if errand.out else 0
