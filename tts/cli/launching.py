"""Launching: a plan as servers to start, and the line that uses them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tts.errors import ConfigError, PluginError
from tts.extras import install

if TYPE_CHECKING:
    from tts.cli.deployment import Deployment, Model
    from tts.serving.commands import Launch

_GENERIC: Final = ("PreTrainedTokenizerFast", "TokenizersBackend")


def launches(
    asked: Deployment, python: str | None, ports: Mapping[str, int], folder: Path
) -> list[Launch]:
    """The servers of the plan that `asked` comes to, the policy's first.

    Args:
        asked: what to serve.
        python: an interpreter that has it; None: this one.
        ports: by server; those that are not in it are chosen among the free ones.
        folder: for tokenizers that have to stand alone.

    Raises:
        ConfigError: it does not fit, the engine cannot serve it, or there is no server of a name
            in `ports`.
    """
    from tts.cli.wording import gibibytes
    from tts.serving.commands import Launch
    from tts.serving.plan import remedies

    plan = asked.plan
    if not plan.fits:
        cures = "; ".join(remedies(plan)) or "a larger device"
        missing = gibibytes(plan.missing)
        raise ConfigError(f"{missing} are missing on {plan.device.name}; would fit: {cures}")
    names = [share.name for share in plan.shares]
    for name in ports:
        if name not in names:
            raise ConfigError(f"--port {name}: there is no such server ({', '.join(names)})")
    made = []
    for share in plan.shares:
        model = asked.models[share.demands[0].role]
        made.append(
            Launch(
                kind=asked.kind,
                python=python or sys.executable,
                device=plan.device,
                share=share,
                model=model.path,
                port=ports.get(share.name) or _free_port(),
                tokenizer=_own_tokenizer(model, folder / f"tokenizer-{share.name}"),
                adapters=asked.adapters,
                threads=_threads(len(plan.shares)),
            )
        )
    for launch in made:
        launch.words()
    return made


def check(made: Sequence[Launch]) -> None:
    """See that the servers can be started.

    Raises:
        ConfigError: a port is taken, or the interpreter is none.
        PluginError: the engine is not installed there.
    """
    for launch in made:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", launch.port))
            except OSError as error:
                raise ConfigError(
                    f"port {launch.port} for the {launch.name}: {error.strerror}"
                ) from None
    kind, python = made[0].kind, made[0].python
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{kind}') is None)"
    try:
        done = subprocess.run([python, "-c", code], check=False, timeout=60)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"--python {python}: {error}") from None
    if done.returncode:
        raise PluginError(
            f"{kind} is not installed for {python}: {install(kind)}, for it, or name an "
            "interpreter that has it, --python /path/to/python"
        )


def solve_words(asked: Deployment, made: Sequence[Launch], judge: str | None) -> list[str]:
    """`tts solve` over the servers, but for the problem.

    Raises:
        ConfigError: there is no verifier of the judge's name.
    """
    words = ["tts", "solve"]
    for launch in made:
        for demand in launch.share.demands:
            spec = launch.spec(demand.role)
            if demand.role == "verifier":
                model = asked.models["verifier"]
                spec = _judging(judge or _judge_of(model), launch, spec, asked.votes)
            words += [f"--{demand.role}", spec]
    return [*words, "--strategy", asked.strategy]


def _judge_of(model: Model) -> str:
    """Which verifier knows how to speak to a model."""
    if model.shipped:
        return "genprm-nano"
    return "prm-qwen-7b" if model.shape.scores else "genprm-7b"


def _judging(judge: str, launch: Launch, spec: str, votes: int | None) -> str:
    from tts.backends.folder import find_folder
    from tts.config import knobs
    from tts.registry import load
    from tts.spec import parse

    parsed = parse(judge)
    known = knobs(load("verifiers", parsed.name))
    told = [f"{knob}=[{value}]" for knob, value in parsed.knobs.items()]
    if "tokenizer" in known:  # one that scores, and is sent token ids
        folder = find_folder(launch.model) or launch.model
        told[:0] = [f"backend={launch.kind}:{launch.url}", f"tokenizer={folder}"]
    elif "backend" in known:
        told.insert(0, f"backend=[{spec}]")
    else:
        raise ConfigError(f"--judge {parsed.name}: this verifier takes no engine")
    if votes is not None and "votes" in known and "votes" not in parsed.knobs:
        told.append(f"votes={votes}")
    return f"{parsed.name}:{','.join(told)}"


def _threads(servers: int) -> int | None:
    """For each of some servers on this machine's cores, unless somebody has decided that."""
    if "OMP_NUM_THREADS" in os.environ:
        return None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, (cores or 1) // servers)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _own_tokenizer(model: Model, folder: Path) -> str | None:
    """A folder with nothing but the model's tokenizer, where that is of no family's class.

    Beside a `config.json` that names a family, transformers 5 replaces how such a one splits text.
    """
    from tts.backends.folder import read_json

    source = Path(model.path)
    described = source / "tokenizer_config.json"
    if not described.is_file() or read_json(described).get("tokenizer_class") not in _GENERIC:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    for path in source.glob("tokenizer*.json"):
        shutil.copyfile(path, folder / path.name)
    return str(folder)
