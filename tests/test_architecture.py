"""The house rules that a machine can check."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tts

ROOT = Path(__file__).parents[1]
PACKAGES = [
    "tts",
    "strategies/tts_strategies",
    "verifiers/tts_verifiers",
    "nano/tts_nano",
    "benchmarks/tts_benchmarks",
]
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_says_in_a_sentence_what_it_is(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text()))
    assert text, "no docstring"
    assert text.split("\n\n")[0].rstrip().endswith((".", ":", "`")), "no sentence"


def test_no_module_is_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
    assert not [name(path) for path in MODULES if path.stem in drawers]


def test_modules_are_short() -> None:
    lengths = sorted(len(path.read_text().splitlines()) for path in MODULES)
    assert lengths[len(lengths) // 2] <= 130
    long = [name(path) for path in MODULES if len(path.read_text().splitlines()) > 330]
    assert not long


def test_strategies_cite_and_are_short() -> None:
    files = [p for p in MODULES if p.parent.name == "tts_strategies" and p.stem != "__init__"]
    lengths = sorted(len(path.read_text().splitlines()) for path in files)
    assert lengths[len(lengths) // 2] <= 80
    for path in files:
        assert re.search(r"\b(19|20)\d\d\b", ast.get_docstring(ast.parse(path.read_text())) or "")


def test_a_paper_is_written_down_once() -> None:
    calls = [
        node
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Paper"
    ]
    titles = [call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)]
    assert len(titles) == len(calls) > 10
    assert sorted(set(titles)) == sorted(titles)


PUBLIC = """
BackendError Budget Candidate ConfigError Cost Engine Event Finish Judgement LanguagePolicy Node
PluginError Problem Result SandboxError Step StopReason TTSError Tree __version__ replay solve_sync
"""


def test_the_public_names_are_what_they_were() -> None:
    assert tts.__all__ == PUBLIC.split()
    assert sorted(tts.__all__) == tts.__all__
    for public in tts.__all__:
        assert getattr(tts, public) is not None
    assert dir(tts) == tts.__all__


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Enigne'"):
        tts.Enigne  # noqa: B018


def loaded(code: str) -> set[str]:
    """Modules that a fresh interpreter has loaded after `code`."""
    program = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


HEAVY = {"torch", "transformers", "vllm", "sglang", "sympy", "math_verify", "matplotlib"}


def test_importing_the_package_loads_next_to_nothing() -> None:
    assert not loaded("import tts") & (HEAVY | {"numpy", "pydantic", "networkx", "aiohttp"})


def test_listing_backends_loads_none_of_their_libraries() -> None:
    code = (
        "from tts.registry import load, names\n"
        "print(len([load('backends', name) for name in names('backends')]))"
    )
    assert not loaded(code) & HEAVY


def test_a_search_loads_no_heavy_library() -> None:
    code = (
        "from tts import LanguagePolicy, solve_sync\n"
        "from tts.backends.fake import FakeBackend\n"
        "print(solve_sync('Next?', 'beam', policy=LanguagePolicy(FakeBackend()),"
        " verifier='likelihood').answer)"
    )
    assert not loaded(code) & (HEAVY | {"networkx"})
