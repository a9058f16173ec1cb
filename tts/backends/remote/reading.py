"""Reading: an engine's account of a sample made into ours, the same for every engine.

Engines differ in where they cut text and ids at a stop. Here the ids decide: a sample ends with the
first token by which a stop string is complete, and its text is what its ids decode to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tts.backends.base import Ending, Request, Sample, Tokenizer
from tts.errors import BadReply


@dataclass(frozen=True, slots=True)
class Raw:
    """A sample as the engine tells it."""

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    """Raw, one for each token."""
    text: str
    """Special tokens left out; the stop string kept."""
    cut: bool
    """Whether the engine says that it ended for its length."""
    first: tuple[float, ...] = ()
    """Raw log-probabilities of the request's `logprob_ids` at the first position."""


def sample_of(raw: Raw, request: Request, tokenizer: Tokenizer) -> Sample:
    """What `raw` is in answer to `request`.

    Raises:
        BadReply: it makes no sense; above all, its text is not what its ids decode to here.
    """
    ids, logprobs = raw.token_ids, raw.logprobs
    if not ids or len(logprobs) != len(ids):
        raise BadReply(
            f"a sample came with {len(ids)} tokens and {len(logprobs)} log-probabilities"
        )
    if len(raw.first) != len(request.logprob_ids):
        raise BadReply(
            f"{len(raw.first)} of {len(request.logprob_ids)} chosen log-probabilities came"
        )
    text = tokenizer.decode(ids)
    if text != raw.text and not _alike(text, raw.text):
        raise BadReply(
            f"tokens {_some(ids)} are {raw.text[:40]!r} to the server and {text[:40]!r} to our "
            "tokenizer: name the folder of the served model by the knob `tokenizer`"
        )
    ending = Ending.LENGTH if raw.cut else Ending.EOS
    if stop_at := next((n for n, id in enumerate(ids, 1) if id in request.stop_ids), 0):
        ids, ending = ids[:stop_at], Ending.STOP
        text = tokenizer.decode(ids)
    if _holds(text, request.stop):
        # Nearly always the last token completes it; some engines look at several at a time.
        while _holds(shorter := tokenizer.decode(ids[:-1]), request.stop):
            ids, text = ids[:-1], shorter
        ending = Ending.STOP
    logprobs = logprobs[: len(ids)]
    return Sample(ids, text, sum(logprobs), ending, raw.first, logprobs)


def _holds(text: str, stops: Sequence[str]) -> bool:
    return any(stop in text for stop in stops)


def _alike(ours: str, theirs: str) -> bool:
    """Whether the server's text is ours but for what it may cut: a stop's rest, half a character,
    blanks at the edges.
    """
    return ours.strip().startswith(theirs.rstrip("\N{REPLACEMENT CHARACTER}").strip())


def _some(ids: Sequence[int]) -> str:
    return str(list(ids[:8])).replace("]", ", ...]" if len(ids) > 8 else "]")
