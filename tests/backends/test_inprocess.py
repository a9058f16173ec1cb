"""Engines in this process, as far as none is needed: options, refusals, the loop they live on."""

import asyncio
import threading
from importlib.util import find_spec

import anyio
import pytest

from tts.backends.inprocess.opening import _options
from tts.backends.inprocess.thread import LoopThread
from tts.errors import ConfigError, PluginError
from tts.registry import open_backend

pytestmark = pytest.mark.anyio


def test_options_are_read_as_json_and_else_as_words() -> None:
    read = _options("vllm-inproc", "max_model_len=4096,dtype=float32,enforce_eager=true,share=0.5")
    assert read == {
        "max_model_len": 4096,
        "dtype": "float32",
        "enforce_eager": True,
        "share": 0.5,
    }


@pytest.mark.parametrize("kind", ["vllm-inproc", "sglang-inproc"])
def test_what_is_missing_is_told(kind: str) -> None:
    with pytest.raises(ConfigError, match=f"{kind}:OWNER/NAME"):
        open_backend(kind)
    with pytest.raises(ConfigError, match="'eager' in the options"):
        open_backend(f"{kind}:/model,options=[eager,dtype=float32]")
    if find_spec(kind.partition("-")[0]) is None:
        with pytest.raises(PluginError, match="needs an interpreter that has the engine"):
            open_backend(f"{kind}:/model")


async def test_work_runs_on_the_loop_that_it_belongs_to() -> None:
    thread = LoopThread("tts-test")
    home = thread.call(asyncio.get_running_loop)

    async def where() -> asyncio.AbstractEventLoop:
        await asyncio.sleep(0)
        return asyncio.get_running_loop()

    assert await thread.run(where()) is home is not asyncio.get_running_loop()
    thread.stop()
    thread.stop()
    assert "tts-test" not in {each.name for each in threading.enumerate()}


async def test_cancelled_work_hears_of_it_once_and_can_still_await() -> None:
    thread = LoopThread("tts-test")
    ended = threading.Event()

    async def long() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)  # such as telling the engine
            ended.set()

    with anyio.move_on_after(0.05):
        await thread.run(long())
    assert await anyio.to_thread.run_sync(ended.wait, 5.0)
    thread.stop()


async def test_what_still_runs_is_cancelled_when_the_loop_is_stopped() -> None:
    thread = LoopThread("tts-test")
    begun = threading.Event()

    async def forever() -> None:
        begun.set()
        await asyncio.sleep(3600)

    async def wait() -> None:
        with pytest.raises(asyncio.CancelledError):
            await thread.run(forever())

    waiting = asyncio.ensure_future(wait())
    await anyio.to_thread.run_sync(begun.wait, 5.0)
    await anyio.to_thread.run_sync(thread.stop)
    await waiting
