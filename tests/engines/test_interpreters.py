"""What needs torch, vLLM or SGLang in its own process, run in the interpreters that have them."""

import subprocess
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
Interpreter = tuple[Path, Mapping[str, str]]


@dataclass(frozen=True)
class Report:
    """What another interpreter's pytest says."""

    outcomes: Counter[str]
    properties: Mapping[str, str]


def run(interpreter: Interpreter, folder: Path, *arguments: str) -> Report:
    """Run tests there."""
    python, environment = interpreter
    told = folder / "report.xml"
    # Their warnings are about one another, so that they are no errors here.
    options = ("-q", "-p", "no:cacheprovider", "-W", "ignore", f"--junitxml={told}")
    done = subprocess.run(
        [python, "-m", "pytest", *options, "-m", "engines or not engines", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=840,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    cases = ET.parse(told).getroot().iter("testcase")
    outcomes: Counter[str] = Counter()
    properties: dict[str, str] = {}
    for case in cases:
        outcomes["skipped" if case.find("skipped") is not None else "passed"] += 1
        for each in case.iter("property"):
            properties[each.attrib["name"]] = each.attrib["value"]
    return Report(outcomes, properties)


def test_an_engine_in_its_own_interpreter(
    kind: str, interpreter: Interpreter, tmp_path: Path
) -> None:
    report = run(
        interpreter,
        tmp_path,
        "tests/engines/test_inprocess.py",
        "tests/engines/test_exactness.py",
        "-k",
        "not server and not transformers",
    )
    print(report)
    # Closing is looked at in the end; seeds decide nothing in SGLang's torch-native attention.
    assert report.outcomes["skipped"] == {"vllm": 1, "sglang": 3}[kind]
    assert report.outcomes.total() >= 22
    told = report.properties
    assert (told["engine"], told["answer"]) == (kind, "72")
    assert 0 < int(told["cached_tokens"]) < int(told["prompt_tokens"])
    assert 0 < int(told["output_tokens"]) <= 8_000


def test_transformers_where_torch_is(interpreter: Interpreter, tmp_path: Path) -> None:
    report = run(
        interpreter,
        tmp_path,
        "tests/backends/test_transformers.py",
        "tests/engines/test_exactness.py",
        "-k",
        "transformers",
    )
    print(report)
    assert report.outcomes["skipped"] == 0
    assert report.outcomes["passed"] >= 44
