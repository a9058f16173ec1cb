"""The app: which commands there are, and what `tts --help` says of them."""

from __future__ import annotations

from typing import Annotated

import typer

from tts.cli import (
    bench,
    cite,
    demo,
    doctor,
    label,
    merge,
    plan,
    refine,
    solve,
    synthesize,
    up,
    verify,
)
from tts.cli.catalogue import backends, presets, strategies, verifiers

_EPILOG = """
[bold]Examples[/bold]

  tts demo
  tts solve "Evaluate (37 + 48) * 2." --budget 8k
  tts solve --example --strategy beam --verifier likelihood --set width=4
"""

app = typer.Typer(
    help="Make a language model answer better by spending more compute, under a budget.",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,  # `main` explains errors
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from tts import __version__

        typer.echo(f"tts {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Make a language model answer better by spending more compute, under a budget."""


app.command(epilog=solve.EPILOG)(solve.solve)
app.command(epilog=demo.EPILOG)(demo.demo)
app.command(epilog=doctor.EPILOG)(doctor.doctor)
app.command(epilog=verify.EPILOG)(verify.verify)
app.command(epilog=refine.EPILOG)(refine.refine)
app.command(epilog=label.EPILOG)(label.label)
app.command(epilog=synthesize.EPILOG)(synthesize.synthesize)
app.command(epilog=bench.EPILOG)(bench.bench)
app.command(epilog=merge.EPILOG)(merge.merge)
app.command(epilog=cite.EPILOG)(cite.cite)
app.command(epilog=plan.EPILOG)(plan.plan)
app.command(epilog=up.EPILOG)(up.up)
for _list in (strategies, presets, verifiers, backends):
    app.command()(_list)
