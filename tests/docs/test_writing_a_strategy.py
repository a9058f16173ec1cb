"""The page on strategies: its package is built, installed, and held to the contract."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tts.config import make
from tts.errors import ConfigError
from tts.testing import Bench
from tts.testing.bench import Opinions
from tts_strategies.beam import Beam
from tts_strategies.dvts import DVTS

PAGE = (Path(__file__).parents[2] / "docs" / "writing-a-strategy.md").read_text()


def block(title: str, language: str) -> str:
    """The block that follows `title`: in the text."""
    fenced = rf"`{re.escape(title)}`:\n\n```{language}\n(.*?)^```"
    found = re.search(fenced, PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"{title} is not on the page"
    return found[1]


def wheel(folder: Path) -> Path:
    """The package of the page as a wheel, with the entry points that its pyproject declares."""
    project = tomllib.loads(block("pyproject.toml", "toml"))["project"]
    name = project["name"].replace("-", "_")
    info = f"{name}-{project['version']}.dist-info"
    points = "".join(
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items()) + "\n"
        for group, entries in project["entry-points"].items()
    )
    contents = {
        "my_strategies/__init__.py": '"""Strategies of mine."""\n',
        "my_strategies/two_rounds.py": block("my_strategies/two_rounds.py", "python"),
        "my_strategies/presets.toml": block("my_strategies/presets.toml", "toml"),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project['name']}\n"
        f"Version: {project['version']}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        f"{info}/entry_points.txt": points,
    }
    contents[f"{info}/RECORD"] = "".join(f"{each},,\n" for each in [*contents, f"{info}/RECORD"])
    path = folder / f"{name}-{project['version']}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for each, text in contents.items():
            archive.writestr(each, text)
    return path


@dataclass(frozen=True)
class Installed:
    """An interpreter that has the package."""

    site: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, *words],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(self.site)},
            cwd=self.site.parent,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("stranger")
    site = folder / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "--no-index", "--no-deps", "--target", site, wheel(folder)],
        check=True, timeout=100,
    )  # fmt: skip
    return Installed(site)


def test_a_strangers_strategy_is_held_to_the_contract(installed: Installed) -> None:
    test = installed.site.parent / "test_two_rounds.py"
    test.write_text(block("test_two_rounds.py", "python"))
    done = installed.run("-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test))
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 20


def test_it_is_listed_searched_with_and_cited(installed: Installed) -> None:
    listed = json.loads(installed.run("-m", "tts", "strategies", "--json").stdout)["strategies"]
    (mine,) = [entry for entry in listed if entry["name"] == "two_rounds"]
    assert mine["about"].startswith("Two rounds")
    assert mine["papers"] == ["Doe 2026"]
    words = ("-m", "tts", "solve", "What?", "--policy", "fake", "--verifier", "likelihood")
    found = json.loads(
        installed.run(*words, "--strategy", "two_rounds", "-n", "4", "--json").stdout
    )
    assert found["search"]["strategy"] == "TwoRounds(n=4, kept=2)"
    assert found["answer"] is not None
    found = json.loads(installed.run(*words, "--strategy", "doe-large", "--json").stdout)
    assert found["search"]["strategy"] == "TwoRounds(n=32, kept=4)"
    assert "@misc{doe2026two," in installed.run("-m", "tts", "cite", "two_rounds").stdout


def test_it_is_not_there_without_being_installed() -> None:
    with pytest.raises(ConfigError, match="unknown strategy 'two_rounds'"):
        make("strategies", "two_rounds")


def test_every_hand_is_on_the_page() -> None:
    from tts.strategy import Search, Signal

    hands = [name for name in vars(Search) if not name.startswith("_")]
    assert len(hands) > 10
    for name in [*hands, Signal.__name__]:
        assert re.search(rf"\b{name}\b", PAGE), name


def test_a_width_of_one_never_branches_and_n_below_the_width_still_works() -> None:
    chains = Bench().solve(Beam(n=4, width=1))
    assert all(len(node.children) <= 1 for node in chains.tree)
    assert len(chains.candidates) == 4
    one = Bench(verifier=Opinions(score=lambda text: None)).solve(DVTS(n=2, width=5))
    assert len([node for node in one.tree if node.depth == 1]) == 5
    assert {node.key[0] for node in one.tree if node.depth == 2} == {0}  # equal: the first goes on
