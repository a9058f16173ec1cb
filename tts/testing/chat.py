"""A chat endpoint in OpenAI's protocol over any backend, as able as a test makes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from aiohttp import web

from tts.backends.base import Ending, Request, Sampling
from tts.testing.servers import Server


@dataclass
class ChatServer(Server):
    """An endpoint for chat, as able as it is made."""

    takes: frozenset[str] = frozenset({"seed", "logprobs"})
    """Optional parameters that it knows; others are refused with 400, unless it is `lenient`."""
    lenient: bool = False
    """Whether it ignores what it does not know."""
    continues: bool = False
    """Whether it goes on with an assistant's message."""
    tells_stop: bool = False
    limit: str = "max_tokens"
    names: tuple[str, ...] = ("policy",)
    keys: list[str] = field(default_factory=list)
    """What requests brought as authorization."""

    _PLAIN: ClassVar[frozenset[str]] = frozenset(
        {"model", "messages", "temperature", "top_p", "stop"}
    )

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/models", self.models),
            web.post("/v1/chat/completions", self.chat),
        ]

    async def models(self, request: web.Request) -> web.Response:
        """Its models."""
        self.keys.append(request.headers.get("Authorization", ""))
        return web.json_response({"data": [{"id": name} for name in self.names]})

    async def chat(self, http: web.Request) -> web.StreamResponse:
        """The assistant's next turn, or the rest of it."""
        if (fault := await self.intercepted(http)) is not None:
            return fault
        body = await http.json()
        self.asked.append(body)
        flags = {"continue_final_message", "add_generation_prompt"} if self.continues else set()
        unknown = set(body) - self._PLAIN - self.takes - {self.limit} - flags
        if unknown and not self.lenient:
            message = f"Unrecognized request argument supplied: {', '.join(sorted(unknown))}"
            return web.json_response({"error": {"message": message}}, status=400)
        turns = body["messages"]
        on = self.continues and body.get("continue_final_message")
        prompt = self.engine.tokenizer.chat(turns[:-1] if on else turns)
        if on:
            prompt += self.engine.tokenizer.encode(turns[-1]["content"])
        stop = body.get("stop") or []
        sampling = Sampling(body.get("temperature", 1.0), body.get("top_p", 1.0))
        most = body.get(self.limit, 16)
        request = Request(prompt, most, (body.get("seed", 0),), sampling, tuple(stop))
        cached = self.cached(prompt)
        sample = await self.sample(request)
        stopped = next((each for each in stop if each in sample.text), None)
        choice: dict[str, Any] = {
            "message": {"role": "assistant", "content": sample.text.partition(stopped)[0]
                        if stopped else sample.text},
            "finish_reason": "length" if sample.ending is Ending.LENGTH else "stop",
        }  # fmt: skip
        if self.tells_stop:
            choice["stop_reason"] = stopped
        if body.get("logprobs"):
            choice["logprobs"] = {"content": [{"logprob": value} for value in sample.logprobs]}
        usage = {
            "prompt_tokens": len(prompt),
            "completion_tokens": len(sample.token_ids),
            "prompt_tokens_details": {"cached_tokens": cached},
        }
        return web.json_response({"choices": [choice], "usage": usage})
