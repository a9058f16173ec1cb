"""Chat: any endpoint that speaks OpenAI's chat protocol. Text in, text out; probed when opened.

Endpoints differ in what they take, and many ignore what they do not know. So nothing is believed
that was not seen: an optional parameter is left out where a one-token request with it is refused,
and an assistant's message counts as continued only if the flag for it makes the prompt shorter (the
end of the turn and the next turn's header are then missing).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tts.backends.base import Sampling
from tts.backends.remote.admission import Admission
from tts.backends.remote.line import Errand, Line
from tts.backends.remote.refusal import Refused
from tts.budget.meter import Meter
from tts.errors import BackendError, BadReply, ConfigError
from tts.types import FREE, Cost

Message = Mapping[str, str]
_FLAG: Final = "continue_final_message"
_CONTINUE: Final[tuple[tuple[str, Mapping[str, object], Mapping[str, object]], ...]] = (
    # What the request says, and what its last message says.
    (_FLAG, {_FLAG: True, "add_generation_prompt": False}, {}),
    ("prefix", {}, {"prefix": True}),
)
_AS_IS: Final[Mapping[str, object]] = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
"""Against defaults that servers of open models take from the model's folder."""
_LIMITS: Final = ("max_tokens", "max_completion_tokens")
_QUESTION: Final[Message] = {"role": "user", "content": "Say the alphabet."}
_BEGUN: Final[Message] = {"role": "assistant", "content": "A B C D E F G"}


@dataclass(frozen=True, slots=True)
class Abilities:
    """What an endpoint was seen to do."""

    limit: str
    """What it calls the most tokens to write."""
    optional: frozenset[str]
    """Which of `seed` and `logprobs` it takes."""
    as_is: Mapping[str, object]
    """What has to be said so that nothing is sampled otherwise than asked."""
    continues: str | None
    """The flag by which it goes on with an assistant's message; None if it cannot."""
    tells_stop: bool
    """Whether it tells a stop string from the end of the answer."""
    overhead_tokens: int
    """The prompt of a short conversation: at least what a template adds to any."""
    context_tokens: int | None
    """None: it does not tell."""


@dataclass(frozen=True, slots=True)
class Written:
    """What an endpoint wrote."""

    text: str
    """The stop string kept at its end."""
    logprob: float
    """Sum over the tokens, nats, as far as the endpoint tells; else 0."""
    stopped: bool
    """At a stop string."""
    cut: bool
    """At the limit."""
    cost: Cost


class ChatEndpoint:
    """One model at one address."""

    def __init__(self, line: Line, model: str, abilities: Abilities, admission: Admission) -> None:
        """See `opened`."""
        self.model = model
        self.abilities = abilities
        self._line = line
        self._admission = admission

    @classmethod
    async def opened(cls, line: Line, model: str | None, admission: Admission) -> ChatEndpoint:
        """Probe the endpoint behind `line`; costs it some one-token answers.

        Raises:
            ConfigError: it has several models and none is named.
            Unavailable, BadReply: it cannot be reached, or is no such endpoint.
        """
        name, context = await _listed(line, model)
        line.name = f"{line.url} ({name})"
        limit, as_is = await _spelling(line, name)
        base: dict[str, object] = {"model": name, limit: 1, **as_is}
        optional = {
            key
            for key, value in {"seed": 1, "logprobs": True}.items()
            if await _takes(line, {**base, "messages": [_QUESTION], key: value})
        }
        closed = await _probe(line, {**base, "messages": [_QUESTION, _BEGUN]})
        continues = None
        for flag, body, mark in _CONTINUE:
            messages = [_QUESTION, {**_BEGUN, **mark}]
            try:
                reply = await _probe(line, {**base, **body, "messages": messages})
            except Refused:
                continue
            if _prompt_tokens(reply) < _prompt_tokens(closed):
                continues = flag
                break
        choice = _choice(closed, line)
        abilities = Abilities(
            limit=limit,
            optional=frozenset(optional),
            as_is=as_is,
            continues=continues,
            tells_stop="stop_reason" in choice or "matched_stop" in choice,
            overhead_tokens=_prompt_tokens(closed),
            context_tokens=context,
        )
        return cls(line, name, abilities, admission)

    async def write(
        self,
        messages: Sequence[Message],
        begun: str,
        *,
        max_tokens: int,
        seed: int,
        sampling: Sampling,
        stop: str | None,
        bound: Cost,
        priority: int,
        meter: Meter,
    ) -> Written:
        """Have the assistant answer `messages`, going on from `begun` if that is not empty.

        Raises:
            Overlong, Unavailable, BadReply: as `Backend.generate`.
        """
        body = self._body(messages, begun, max_tokens, seed, sampling, stop)
        errand = Errand()
        with meter.call(bound) as reading:
            reading.cost = FREE
            async with self._admission.slot(priority, max_tokens):
                try:
                    reply = await self._line.post("/chat/completions", body, errand)
                finally:
                    reading.cost = None if errand.out else FREE
                reading.cost = _cost(reply, self._line)
            return _written(reply, self._line, reading.cost)

    async def aclose(self) -> None:
        """Close its connections. Idempotent."""
        await self._line.aclose()

    def _body(
        self,
        messages: Sequence[Message],
        begun: str,
        max_tokens: int,
        seed: int,
        sampling: Sampling,
        stop: str | None,
    ) -> dict[str, object]:
        turns: list[Mapping[str, object]] = list(messages)
        body: dict[str, object] = {
            "model": self.model,
            self.abilities.limit: max_tokens,
            **self.abilities.as_is,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
        }
        if sampling.top_k:
            body["top_k"] = sampling.top_k
        if begun:
            told, mark = next((b, m) for f, b, m in _CONTINUE if f == self.abilities.continues)
            body |= told
            turns.append({"role": "assistant", "content": begun, **mark})
        if "seed" in self.abilities.optional:
            body["seed"] = seed
        if "logprobs" in self.abilities.optional:
            body["logprobs"] = True
        if stop is not None:
            body["stop"] = [stop]
        return {**body, "messages": turns}


async def _listed(line: Line, model: str | None) -> tuple[str, int | None]:
    """The model's name, and its context window where the endpoint tells.

    Raises:
        ConfigError: no model is named and there is not just one.
    """
    try:
        listed = await line.get("/models")
        windows = {entry["id"]: entry.get("max_model_len") for entry in listed["data"]}
    except (Refused, KeyError, TypeError, AttributeError):
        windows = {}
    if model is None and len(windows) != 1:
        some = ", ".join(list(windows)[:8]) or "none"
        raise ConfigError(f"{line.url} lists {len(windows)} models ({some}): name one, model=NAME")
    name = next(iter(windows)) if model is None else model
    window = windows.get(name)
    return name, window if isinstance(window, int) else None


async def _spelling(line: Line, model: str) -> tuple[str, Mapping[str, object]]:
    """What the endpoint calls the most tokens to write, and what else has to be said.

    Raises:
        BadReply: it answers no chat at all.
    """
    refused: BackendError | None = None
    for as_is in (_AS_IS, {}):
        for limit in _LIMITS:
            body = {"model": model, limit: 1, "messages": [_QUESTION], **as_is}
            try:
                await _probe(line, body)
            except Refused as error:
                refused = error
            else:
                return limit, as_is
    assert refused is not None
    raise refused


async def _takes(line: Line, body: Mapping[str, object]) -> bool:
    try:
        await _probe(line, body)
    except Refused:
        return False
    return True


async def _probe(line: Line, body: Mapping[str, object]) -> Any:
    reply = await line.post("/chat/completions", body)
    _cost(reply, line)
    _choice(reply, line)
    return reply


def _prompt_tokens(reply: Any) -> int:
    return int(reply["usage"]["prompt_tokens"])


def _choice(reply: Any, line: Line) -> Mapping[str, Any]:
    try:
        choice = reply["choices"][0]
        assert isinstance(choice["message"], dict)
    except (KeyError, IndexError, TypeError, AssertionError):
        raise BadReply(f"{line.name}: not a chat completion: {str(reply)[:120]}") from None
    return choice  # type: ignore[no-any-return]


def _cost(reply: Any, line: Line) -> Cost:
    try:
        usage = reply["usage"]
        details = usage.get("prompt_tokens_details") or {}
        return Cost(
            prompt_tokens=int(usage["prompt_tokens"]),
            cached_tokens=int(details.get("cached_tokens") or 0),
            output_tokens=int(usage["completion_tokens"]),
            samples=1,
            calls=1,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BadReply(
            f"{line.name}: a reply that does not say what it took: {str(reply)[:120]}"
        ) from None


def _written(reply: Any, line: Line, cost: Cost) -> Written:
    choice = _choice(reply, line)
    matched = choice.get("stop_reason", choice.get("matched_stop"))
    text = choice["message"].get("content") or ""
    stopped = isinstance(matched, str)
    if stopped and not text.endswith(matched):
        text += matched
    tokens = (choice.get("logprobs") or {}).get("content") or ()
    return Written(
        text=text,
        logprob=sum(token["logprob"] for token in tokens),
        stopped=stopped,
        cut=choice.get("finish_reason") == "length",
        cost=cost,
    )
