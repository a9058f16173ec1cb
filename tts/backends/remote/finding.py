"""Finding: which kind of engine answers at an address, for specs that are only an address."""

from __future__ import annotations

from functools import partial

from anyio.from_thread import start_blocking_portal

from tts.backends.base import Backend
from tts.backends.remote.line import Line
from tts.backends.remote.opening import OPENING_SECONDS, open_sglang, open_vllm
from tts.errors import BadReply, ConfigError


def open_http(
    *addresses: str, tokenizer: str | None = None, parameters: float | None = None
) -> Backend:
    """The SGLang or vLLM server at `http://host:port`, whichever it is.

    Name its kind to tell it more (`vllm:http://host:port,at_once=64`), and for chat endpoints.
    """
    return _opened("http", addresses, tokenizer, parameters)


def open_https(
    *addresses: str, tokenizer: str | None = None, parameters: float | None = None
) -> Backend:
    """The same at `https://host`."""
    return _opened("https", addresses, tokenizer, parameters)


def _opened(
    scheme: str, places: tuple[str, ...], tokenizer: str | None, parameters: float | None
) -> Backend:
    # The first address has lost its scheme: it is what the backend was named by.
    addresses = [place if "://" in place else f"{scheme}:{place}" for place in places]
    if not addresses:
        raise ConfigError(f"say where the server is: {scheme}://host:port")
    with start_blocking_portal() as portal:
        kind = portal.call(partial(kind_of, addresses[0]))
    if kind == "sglang":
        return open_sglang(*addresses, tokenizer=tokenizer, parameters=parameters)
    if kind != "vllm":
        endpoint = addresses[0].rstrip("/").removesuffix("/v1")
        raise ConfigError(
            f"{addresses[0]} is neither SGLang nor vLLM; for a chat endpoint say "
            f"openai:{endpoint}/v1,model=NAME"
        )
    return open_vllm(*addresses, tokenizer=tokenizer, parameters=parameters)


async def kind_of(address: str) -> str:
    """`sglang`, `vllm`, or `other`.

    Raises:
        Unavailable: nothing answers there.
    """
    line = Line(address)
    async with line.opening(OPENING_SECONDS):
        for kind, routes in (
            ("sglang", ("/model_info", "/get_model_info")),
            ("vllm", ("/version",)),
        ):
            for route in routes:
                try:
                    told = await line.get(route)
                except BadReply:
                    continue
                if isinstance(told, dict) and ("model_path" in told or "version" in told):
                    return kind
    return "other"
