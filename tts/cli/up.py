"""`tts up`: the servers of a policy and a verifier, started by a plan and kept running."""

from __future__ import annotations

import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tts.cli.arguments import Json
from tts.cli.deployment import (
    Base,
    Context,
    DeviceName,
    EngineName,
    Loras,
    PolicyModel,
    PrecisionName,
    Problems,
    StrategySpec,
    Tokens,
    VerifierModel,
    Votes,
    Workspace,
)

if TYPE_CHECKING:
    from tts.cli.deployment import Deployment
    from tts.serving.commands import Launch

SERVERS: Final = "Servers"
EPILOG: Final = """
[bold]Examples[/bold]

  tts up --policy Qwen2.5-Math-7B-Instruct --verifier GenPRM-7B --device h100 --votes 4
  tts up --policy /path/to/model --verifier GenPRM-1.5B --device a10 --engine vllm --dry-run
  tts up --base Qwen2.5-Math-7B --lora policy=/a --lora verifier=/b --device a100-80
"""


def up(
    device: DeviceName,
    policy: PolicyModel = None,
    verifier: VerifierModel = None,
    base: Base = None,
    loras: Loras = None,
    dtype: PrecisionName = None,
    engine: EngineName = "sglang",
    strategy: StrategySpec = "beam",
    votes: Votes = None,
    lengths: Tokens = None,
    problems: Problems = None,
    context: Context = None,
    workspace: Workspace = None,
    python: Annotated[
        str | None,
        typer.Option(
            help="An interpreter that has the engine; that of tts, if not said.",
            metavar="PATH",
            rich_help_panel=SERVERS,
        ),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            help="Which verifier speaks to the model that judges, with knobs if need be (see 'tts "
            "verifiers'); found from the model, if not said.",
            metavar="NAME",
            rich_help_panel=SERVERS,
        ),
    ] = None,
    ports: Annotated[
        list[str] | None,
        typer.Option(
            "--port",
            help="policy=8000, verifier=8001, or policy+verifier=8000 with --base; free ones, if "
            "not said.",
            metavar="NAME=N",
            rich_help_panel=SERVERS,
        ),
    ] = None,
    logs: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the servers' logs; a new one among temporary files, if not said.",
            metavar="FOLDER",
            rich_help_panel=SERVERS,
        ),
    ] = None,
    restarts: Annotated[
        int,
        typer.Option(
            help="Times that a server is started again before it is given up; ten minutes of "
            "service count as a new beginning.",
            min=0,
            metavar="N",
            rich_help_panel=SERVERS,
        ),
    ] = 5,
    start_seconds: Annotated[
        float,
        typer.Option(
            help="Most time until a server serves.", min=1, metavar="N", rich_help_panel=SERVERS
        ),
    ] = 900.0,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the commands, start nothing.",
                     rich_help_panel=SERVERS),
    ] = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Bring up both models' servers on one device by the plan that 'tts plan' shows.

    Prints the line that searches with them, and keeps them running until Ctrl-C.
    """
    import tempfile

    import anyio

    from tts.cli.deployment import Deployment
    from tts.cli.launching import check, launches, solve_words
    from tts.serving.watch import Patience, Server, Watch

    asked = Deployment(
        device, policy, verifier, base, tuple(loras or ()), dtype, strategy, votes,
        tuple(lengths or ()), context, workspace, problems, engine,
    )  # fmt: skip
    _ = asked.plan  # what cannot be planned leaves no folder
    folder = Path(tempfile.mkdtemp(prefix="tts-up-")) if logs is None else logs.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    made = launches(asked, python, _ports(ports or []), folder)
    words = solve_words(asked, made, judge)
    if dry_run:
        _show(asked, made, words, as_json=as_json)
        if logs is None:
            with suppress(OSError):  # it holds what a command that is shown needs
                folder.rmdir()
        return
    check(made)
    if not as_json:
        _explain(asked, made)
    watch = Watch(
        [Server(each, each.share.total, folder / f"{each.name}.log") for each in made],
        _tell,
        Patience(start=start_seconds, restarts=restarts),
    )

    def ready() -> None:
        if as_json:
            _show(asked, made, words, as_json=True)
        else:
            print(f"{shlex.join(words)} PROBLEM", flush=True)
        _tell("ready; Ctrl-C ends the servers")

    anyio.run(watch.run_until_signal, ready)


def _ports(given: list[str]) -> dict[str, int]:
    from tts.config import pair
    from tts.errors import ConfigError

    ports: dict[str, int] = {}
    for text in given:
        name, value = pair(text, "--port")
        if not value.isdecimal() or not 0 < int(value) < 1 << 16:
            raise ConfigError(f"--port {text}: {value!r} must be a number from 1 to 65535")
        ports[name] = int(value)
    return ports


def _explain(asked: Deployment, made: list[Launch]) -> None:
    """What was chosen and why, for whoever watches."""
    from tts.cli.plan import lines

    _tell("\n".join(lines(asked, asked.plan)))
    for launch, taken in _in_order(made):
        _tell(f"\n{launch.shell(taken)}")
    _tell("")


def _show(asked: Deployment, made: list[Launch], words: list[str], *, as_json: bool) -> None:
    import json

    if not as_json:
        for launch, taken in _in_order(made):
            print(f"# {launch.name}" + ("" if not taken else ", once the other one serves"))
            print(launch.shell(taken))
        print(f"# then\n{shlex.join(words)} PROBLEM", flush=True)
        return
    from tts.cli.plan import document
    from tts.serving.roofline import bound_of

    plan = document(asked, asked.plan, bound_of(asked.plan, problems=asked.problems), None)
    servers: list[dict[str, Any]] = [
        {
            "name": launch.name,
            "url": launch.url,
            "command": launch.words(taken),
            "environment": dict(launch.environment()),
        }
        for launch, taken in _in_order(made)
    ]
    whole = {"schema": "tts.up/1", "servers": servers, "solve": words, "plan": plan}
    print(json.dumps(whole, indent=2, allow_nan=False), flush=True)


def _in_order(made: list[Launch]) -> list[tuple[Launch, int]]:
    """Each with what those before it hold of the device."""
    taken, ordered = 0, []
    for launch in made:
        ordered.append((launch, taken))
        taken += launch.share.total
    return ordered


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
