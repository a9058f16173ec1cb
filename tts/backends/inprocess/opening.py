"""Opening: vLLM and SGLang in this process, by their specs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from anyio.from_thread import start_blocking_portal

from tts.backends.remote.admission import Admission
from tts.backends.remote.backend import RemoteBackend
from tts.backends.remote.facts import Known, model_of, verify
from tts.backends.remote.sglang import SGLang
from tts.backends.remote.wire import Wire
from tts.errors import ConfigError, PluginError
from tts.spec import parse

Start = Callable[[str, Mapping[str, object]], Wire]


def open_vllm(
    location: str,
    *,
    options: str = "",
    at_once: int = 256,
    parameters: float | None = None,
    step_tokens: int | None = None,
    answer_tokens: int | None = None,
) -> RemoteBackend:
    """A model by vLLM in this process: `vllm-inproc:/path,options=[max_model_len=4096]`.

    `options` are vLLM's engine arguments, by their names; `at_once` the most requests in flight;
    `parameters` those active for a token, where not all are.
    """
    known = Known(None, parameters, step_tokens, answer_tokens)
    return _opened("vllm-inproc", location, options, known, at_once, _vllm)


def open_sglang(
    location: str,
    *,
    options: str = "",
    at_once: int = 256,
    parameters: float | None = None,
    step_tokens: int | None = None,
    answer_tokens: int | None = None,
) -> RemoteBackend:
    """A model by SGLang in this process: `sglang-inproc:/path,options=[context_length=4096]`.

    `options` are SGLang's server arguments, by their names; the others as for vllm-inproc.
    """
    known = Known(None, parameters, step_tokens, answer_tokens)
    return _opened("sglang-inproc", location, options, known, at_once, _sglang)


def _vllm(location: str, options: Mapping[str, object]) -> Wire:
    from tts.backends.inprocess.vllm import VLLMInside

    return VLLMInside(location, options)


def _sglang(location: str, options: Mapping[str, object]) -> Wire:
    from tts.backends.inprocess.sglang import Inside

    return SGLang(Inside(location, options))


def _opened(
    kind: str, location: str, options: str, known: Known, at_once: int, start: Start
) -> RemoteBackend:
    """Raises:
    ConfigError: there is no such model or option, or the engine does not start.
    PluginError: this interpreter does not have the engine.
    """
    if not location:
        raise ConfigError(f"say which model: {kind}:/path/to/model or {kind}:OWNER/NAME")
    try:
        wire = start(location, _options(kind, options))
    except ImportError as error:
        raise PluginError(f"{kind} needs an interpreter that has the engine: {error}") from None
    address = f"{kind}:{location}"

    async def connected() -> RemoteBackend:
        try:
            told = await wire.tell()
            model = model_of(told, known, address)
            await verify(model, wire, address)
        except BaseException:
            await wire.aclose()
            raise
        return RemoteBackend(wire, model, Admission(at_once, told.cache_tokens))

    with start_blocking_portal() as portal:
        return portal.call(connected)


def _options(kind: str, text: str) -> dict[str, object]:
    """`a=1,b=true,c=word` as values, numbers and truths as JSON writes them.

    Raises:
        ConfigError: a piece is no option.
    """
    spec = parse(f"{kind}:{text}")
    if spec.places:
        raise ConfigError(f"{spec.places[0]!r} in the options of {kind} must be NAME=VALUE")
    values: dict[str, object] = {}
    for name, given in spec.knobs.items():
        try:
            values[name] = json.loads(given)
        except ValueError:
            values[name] = given
    return values
