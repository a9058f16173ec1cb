"""Progress: a search as it goes on, live on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio

from tts.cli.wording import confidence, count, percent, printable, scaled, seconds, usd
from tts.types import FREE

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from tts.cli.watch import Watch

REFRESH_SECONDS: Final = 0.125
LINE_SECONDS: Final = 5.0
"""Between two lines where nobody watches live; a search that is done earlier prints none."""
_LONGEST_ANSWER: Final = 60


async def show(watch: Watch, title: str) -> None:
    """Show `watch` on stderr until cancelled."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if console.is_interactive:
        await _show_live(watch, title, console)
    else:
        await _show_lines(watch, title)


async def _show_live(watch: Watch, title: str, console: Console) -> None:
    from rich.live import Live

    # Refreshed from here, not from a thread: the view never sees a half-heard event.
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(_view(watch, title), refresh=True)
            await anyio.sleep(REFRESH_SECONDS)


async def _show_lines(watch: Watch, title: str) -> None:

    while True:
        await anyio.sleep(LINE_SECONDS)
        with suppress(OSError):  # nobody reads it: the search matters more
            print(f"{title}: {_line(watch)}", file=sys.stderr, flush=True)


def _view(watch: Watch, title: str) -> RenderableType:
    from rich.markup import escape
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", min_width=8)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_column(width=24)
    grid.add_row(
        "search",
        f"[bold]{escape(title)}[/]",
        f"[dim]{seconds(watch.seconds)}, {count(watch.rate)} tokens/s[/]",
    )
    for name, (spent, limit) in watch.shares().items():
        bar = ProgressBar(total=limit, completed=min(spent, limit), width=24)
        grid.add_row(name, f"{_amount(name, spent)} of {_amount(name, limit)}", bar)
    for account, cost in watch.costs.items():
        if cost == FREE:  # a verifier that asks no model
            continue
        cached = cost.cached_tokens / cost.prompt_tokens if cost.prompt_tokens else 0
        read = f"{count(cost.prompt_tokens)} read ({percent(cached)} cached)"
        grid.add_row(account, f"{count(cost.output_tokens)} tokens written, {read}")
    finished = len(watch.candidates())
    work = f"{count(watch.working)} in progress"
    grid.add_row("solutions", f"{count(finished)} finished, {count(watch.steps)} steps, {work}")
    grid.add_row("best", _leader(watch))
    return grid


def _leader(watch: Watch) -> str:
    from rich.markup import escape

    leader = watch.leader()
    if leader is None:
        return "[dim]no answer yet[/]"
    answer = escape(_short(leader.candidate.answer or ""))
    return f"[bold green]{answer}[/] ({confidence(leader.share, watch.selector)})"


def _line(watch: Watch) -> str:
    limits = watch.shares()
    used = ", ".join(
        f"{percent(spent / limit)} of {name}" for name, (spent, limit) in limits.items()
    )
    if leader := watch.leader():
        share = confidence(leader.share, watch.selector)
        answer = f"best {_short(leader.candidate.answer or '')} ({share})"
    else:
        answer = "no answer yet"
    return (
        f"{seconds(watch.seconds)}: {count(watch.spent.tokens)} tokens"
        f"{f' ({used})' if used else ''}, {len(watch.candidates())} finished, {answer}"
    )


def _amount(name: str, value: float) -> str:
    match name:
        case "seconds":
            return seconds(value)
        case "flops":
            return scaled(value)
        case "usd":
            return usd(value)
        case _:
            return count(value)


def _short(answer: str) -> str:
    line = " ".join(printable(answer).split())
    return line if len(line) <= _LONGEST_ANSWER else f"{line[: _LONGEST_ANSWER - 1]}…"
