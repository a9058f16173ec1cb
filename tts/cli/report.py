"""The report: a result for people. The answer first, then why to believe it, then what it took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tts.cli.wording import confidence, count, percent, printable, scaled, seconds, stop_reason, usd
from tts.types import FREE, RIGHT_FROM

LONGEST_PROBLEM: Final = 400
"""Characters of a problem that a report repeats."""

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.table import Table
    from rich.text import Text

    from tts.cli.session import Ended
    from tts.result import Result


def new_console() -> Console:
    """Stdout, 100 columns wide where it is no terminal."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 100
    return console


def print_report(ended: Ended, command: str) -> None:
    """Print all of a search's result on stdout; `command` is a line that repeats the search."""
    from rich.text import Text

    console, result = new_console(), ended.result
    console.print(problem_line(result.problem.prompt), soft_wrap=True)
    console.print(_answer(result, ended.correct), soft_wrap=True)
    if result.best is not None:
        console.print()
        console.print(solution(result))
    console.print()
    console.print(_spend(ended))
    console.print()
    console.print(stop_reason(result, ended.budget), style="dim")
    for remark in _remarks(result):
        console.print(Text(remark, style="yellow"), soft_wrap=True)
    # Whole, however long: a line that was broken could not be pasted.
    console.print(Text(f"Again: {printable(command)}", style="dim"), soft_wrap=True)


def problem_line(prompt: str) -> Text:
    """What was asked, on one line, cut if it is long."""
    from rich.text import Text

    line = " ".join(printable(prompt).split())
    cut = line if len(line) <= LONGEST_PROBLEM else f"{line[: LONGEST_PROBLEM - 1]}…"
    return Text.assemble(("Problem: ", "bold"), cut)


def solution(result: Result) -> Table:
    """The steps of the best solution, each with the verifier's score if it has one."""
    from rich.table import Table
    from rich.text import Text

    assert result.best is not None
    path = [node for node in result.tree[result.best.key].path() if node.step is not None]
    scores = [None if node.judgement is None else node.judgement.score for node in path]
    scored = any(score is not None for score in scores)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", style="dim")
    if scored:
        grid.add_column(justify="right")
    grid.add_column(overflow="fold")
    for number, (node, score) in enumerate(zip(path, scores, strict=True), 1):
        text = Text(printable(node.step.text.strip() if node.step else ""))
        grid.add_row(str(number), *([_score(score)] if scored else []), text)
    return grid


def _score(score: float | None) -> Text:
    """A score, green where it is high, red where it is low; nothing for None."""
    from rich.text import Text

    if score is None:
        return Text("")
    style = "green" if score >= 0.8 else "red" if score < RIGHT_FROM else ""
    return Text(f"{score:.2f}", style=style)


def _answer(result: Result, correct: bool | None) -> Text:
    from rich.text import Text

    total = len(result.candidates)
    if result.answer is None:
        why = (
            "no solution was finished"
            if not total
            else f"none of {total} finished solutions states one"
        )
        return Text.assemble(("No answer", "bold red"), f": {why}.")
    classes = {candidate.label for candidate in result.candidates} - {None}
    vote = f"{confidence(result.confidence, result.selector)}; {_plural(total, 'solution')}"
    if len(classes) > 1:
        vote += f" with {len(classes)} different answers"
    if silent := sum(candidate.label is None for candidate in result.candidates):
        vote += f", {silent:,} without one"
    line = Text.assemble(
        ("Answer:  ", "bold"), (printable(result.answer), "bold green"), (f"  ({vote})", "dim")
    )
    if correct is not None:
        known = f"it is {result.problem.answer}"
        line.append_text(Text("  right", "green") if correct else Text(f"  wrong: {known}", "red"))
    return line


def _spend(ended: Ended) -> Group:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    spend, limits = ended.result.spend, ended.budget.limits()
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("spent")
    for name in ("calls", "samples", "read", "cached", "written", "FLOPs"):
        table.add_column(name, justify="right")
    code = any(cost.code_seconds for cost in spend.costs.values())
    if code:
        table.add_column("code", justify="right")
    if ended.rates.prices:
        table.add_column("USD", justify="right")
    for account, cost in spend.costs.items():
        if cost == FREE:  # a verifier that asks no model
            continue
        cached = cost.cached_tokens / cost.prompt_tokens if cost.prompt_tokens else 0.0
        table.add_row(
            account,
            count(cost.calls),
            count(cost.samples),
            count(cost.prompt_tokens),
            percent(cached),
            count(cost.output_tokens),
            scaled(ended.rates.amount(account, cost).flops),
            *([seconds(cost.code_seconds)] if code else []),
            *([usd(ended.rates.amount(account, cost).usd)] if ended.rates.prices else []),
        )
    used = {**spend.total._asdict(), "seconds": spend.seconds}
    shares = [f"{percent(min(1.0, used[name] / limits[name]))} of the {name}" for name in limits]
    took = f"{seconds(spend.seconds)}"
    kept = f"{percent(spend.wasted_share)} of what was written is in no answer"
    return Group(table, Text("; ".join(["in " + took, *shares, kept]), style="dim"))


def _remarks(result: Result) -> list[str]:
    remarks = [f"Went wrong: {printable(error)}" for error in result.errors]
    if result.abstained:
        remarks.append(f"The verifier abstained {_plural(result.abstained, 'time')}.")
    if result.undecided:
        pairs = _plural(result.undecided, "pair")
        remarks.append(f"{pairs} of answers could not be compared and count as different.")
    return remarks


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
