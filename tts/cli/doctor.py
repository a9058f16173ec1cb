"""`tts doctor`: what works here, what is missing, and the command that gets it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import typer

from tts.cli.arguments import Json, Verifier

if TYPE_CHECKING:
    from tts.cli.checks import Check

from typing import Annotated

EPILOG: Final = """
[bold]Examples[/bold]

  tts doctor
  tts doctor --policy nano:/path/to/weights
  tts doctor --verifier genprm-7b:backend=nano:/path/to/weights
"""


def doctor(
    policy: Annotated[
        str | None,
        typer.Option(
            help="Check this engine too, as 'tts solve --policy' names it.", metavar="NAME"
        ),
    ] = None,
    verifier: Verifier = None,
    as_json: Json = False,
) -> None:
    """Check the installation, and the engines that are named.

    Exits with 0 if searches can run, with 4 if an engine that they need cannot be reached.
    """
    import json

    import anyio

    from tts.cli.checks import examine
    from tts.cli.exits import Exit

    checks = anyio.run(examine, policy, verifier)
    broken = [check for check in checks if check.needed and check.state != "ok"]
    if as_json:
        listed = [asdict(check) for check in checks]
        print(json.dumps({"schema": "tts.doctor/1", "ok": not broken, "checks": listed}, indent=2))
    else:
        _print(checks, broken)
    raise typer.Exit(Exit.ENGINE if broken else Exit.ANSWERED)


def _print(checks: list[Check], broken: list[Check]) -> None:
    from rich.table import Table
    from rich.text import Text

    from tts.cli.report import new_console

    styles = {"ok": "green", "missing": "yellow", "failed": "red"}
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        # What may be missing is no cause for alarm.
        style = styles[check.state] if check.needed or check.state == "ok" else "yellow"
        table.add_row(Text(check.state, style), Text(check.name), Text(check.detail))
        if check.fix:
            table.add_row("", "", Text(f"get it: {check.fix}", "dim"))
    console = new_console()
    console.print(table)
    console.print()
    if broken:
        names = ", ".join(check.name for check in broken)
        console.print(Text(f"Searches cannot run: {names}.", "red"))
    else:
        console.print(Text("Searches can run.", "green"), Text("Try: tts demo"))
