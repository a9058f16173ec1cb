"""Checks: a request looked at before any engine is given it; engines have died of nonsense."""

from __future__ import annotations

from typing import Final

from tts.backends.base import ModelInfo, Request
from tts.errors import ConfigError, Overlong

_ID_FIELDS: Final = ("prompt", "stop_ids", "logprob_ids")


def check(request: Request, model: ModelInfo, vocabulary: int) -> None:
    """See that `request` makes sense for a model whose token ids are below `vocabulary`.

    Raises:
        ConfigError: it does not.
        Overlong: the prompt leaves no room for one token in the context window.
    """
    if not request.prompt:
        raise ConfigError("the prompt is empty: there is nothing to go on from")
    for name in _ID_FIELDS:
        ids = getattr(request, name)
        if ids and not (min(ids) >= 0 and max(ids) < vocabulary):
            raise ConfigError(f"{name}: there are token ids outside [0, {vocabulary})")
    if request.max_tokens < 1 or not request.seeds:
        raise ConfigError("a request is for at least one token of at least one sample")
    if not (request.sampling.temperature >= 0 and 0 < request.sampling.top_p <= 1):
        raise ConfigError(f"{request.sampling}: temperature >= 0 and 0 < top_p <= 1 are needed")
    if len(request.prompt) >= model.context_tokens:
        raise Overlong(
            f"the prompt takes {len(request.prompt)} tokens; {model.name} has room for "
            f"{model.context_tokens}, its answer included"
        )
