"""One grammar for everything that is named in a line of text."""

import re

import pytest

from tts.config import make_at_places
from tts.errors import ConfigError
from tts.registry import open_engine
from tts.spec import Spec, parse


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("nano", Spec("nano")),
        ("nano:/a/b=c/d", Spec("nano", ("/a/b=c/d",))),
        ("beam:n=8, width=2", Spec("beam", (), {"n": "8", "width": "2"})),
        ("http://host:80", Spec("http", ("//host:80",))),
        (
            "sglang:http://a:1,http://b:2,at_once=4",
            Spec("sglang", ("http://a:1", "http://b:2"), {"at_once": "4"}),
        ),
        (
            "judge:backend=[vllm:http://a:1,at_once=4],votes=2",
            Spec("judge", (), {"backend": "vllm:http://a:1,at_once=4", "votes": "2"}),
        ),
        (
            "vllm:http://[::1]:8000,at_once=4",
            Spec("vllm", ("http://[::1]:8000",), {"at_once": "4"}),
        ),
        ("nano:[/with, a comma]", Spec("nano", ("/with, a comma",))),
    ],
)
def test_a_spec_is_a_name_places_and_knobs(text: str, spec: Spec) -> None:
    assert parse(text) == spec


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("nano,usd_in=0.2,usd_out=0.8", "nano:usd_in=0.2,usd_out=0.8"),
        ("judge, backend=[vllm:http://a,at_once=4]", "judge:backend=[vllm:http://a,at_once=4]"),
    ],
)
def test_knobs_without_a_colon_before_them_are_told_how_to_be_written(
    text: str, meant: str
) -> None:
    with pytest.raises(ConfigError, match="come after a colon") as raised:
        parse(text)
    assert str(raised.value).endswith(f": {meant}")
    assert parse(meant).knobs


@pytest.mark.parametrize("text", ["judge:backend=[vllm:http://a", "nano:/a]"])
def test_a_bracket_without_its_partner_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="has no partner"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("beam:n=8,n=9", "n of beam is set twice"),
        ("fake:a,b", "fake is at one place, not at a and b"),
        ("fake:location=a", "unknown knob of fake 'location'"),
        ("vllm:http://h,at_onec=3", "unknown knob of vllm 'at_onec'; did you mean 'at_once'"),
        ("vllm:http://h,at_once=some", "vllm: at_once='some'"),
        ("vllm", "say where the server is"),
        ("http://h,at_once=3", r"'at_once' \(allowed: parameters, tokenizer\); .*vllm.* take it"),
        ("http://h:80:parameters=7e9", "'http://h:80:parameters=7e9' is no address of a server"),
        ("vllm:localhost:8000", "is no address of a server; write http://host:port"),
        ("vllm:http://me:secret@host:1", "no password in the address of host"),
        ("sglang:http://127.0.0.1:9,api_key_env=NO_SUCH_KEY", "NO_SUCH_KEY holds no key"),
    ],
)
def test_what_cannot_be_used_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        make_at_places("backends", parse(text))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("address", ["localhost:8000", "10.0.0.1:80/v1,parameters=7e9"])
def test_an_address_without_its_scheme_is_told_how_to_be_written(address: str) -> None:
    with pytest.raises(ConfigError, match=f"write http://{re.escape(address)}$"):
        open_engine(address)
