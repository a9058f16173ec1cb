"""`tts cite`: BibTeX of the papers behind a search, as its strategy, verifier and selector say."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tts.cli.arguments import complete_selector, complete_strategy, complete_verifier

if TYPE_CHECKING:
    from tts.paper import Paper

EPILOG: Final = """
[bold]Examples[/bold]

  tts cite beam --verifier genprm-7b
  tts cite rebase-16 ets-16 --select weighted
  tts cite --result result.json      # of tts solve --out result.json
"""


def cite(
    strategies: Annotated[
        list[str] | None,
        typer.Argument(
            help="Strategies or presets.",
            metavar="[STRATEGY]...",
            show_default=False,
            autocompletion=complete_strategy,
        ),
    ] = None,
    verifier: Annotated[
        list[str] | None,
        typer.Option(
            help="Also this verifier. Repeatable.",
            metavar="NAME",
            autocompletion=complete_verifier,
        ),
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option(
            help="Also this selector. Repeatable.",
            metavar="NAME",
            autocompletion=complete_selector,
        ),
    ] = None,
    result: Annotated[
        Path | None,
        typer.Option(help="All that the search with this result used.", metavar="PATH"),
    ] = None,
) -> None:
    """Print BibTeX of the papers behind strategies, verifiers and selectors."""
    used = [
        *(("strategy", name) for name in strategies or ()),
        *(("verifier", name) for name in verifier or ()),
        *(("selector", name) for name in select or ()),
        *(_of_result(result) if result is not None else ()),
    ]
    if not used:
        from tts.errors import ConfigError

        raise ConfigError("nothing to cite: name a strategy (see 'tts strategies') or a --result")
    print(bibliography(used))


def bibliography(used: list[tuple[str, str]]) -> str:
    """BibTeX for (`strategy` | `verifier` | `selector`, spec), each paper once.

    Raises:
        ConfigError: there is none of a name.
    """
    wanted: dict[Paper, list[str]] = {}
    silent: list[str] = []
    for what, spec in dict.fromkeys(used):
        papers = _papers(what, spec)
        for paper in papers:
            wanted.setdefault(paper, []).append(f"{what} {spec}")
        if not papers:
            silent.append(f"% {what} {spec} does not say where it is from.")
    entries = [
        f"% {', '.join(uses)}\n{paper.bibtex}"
        for paper, uses in sorted(wanted.items(), key=lambda item: item[0].key)
    ]
    return "\n\n".join([*entries, *silent])


def _papers(what: str, spec: str) -> tuple[Paper, ...]:
    from tts.errors import unknown
    from tts.paper import papers_of
    from tts.presets import presets
    from tts.registry import load
    from tts.select import SELECTORS
    from tts.spec import parse

    name = parse(spec).name
    if what == "selector":
        if name not in SELECTORS:
            raise unknown("selector", name, SELECTORS)
        return papers_of(SELECTORS[name])
    if what == "verifier":
        inner = parse(spec).knobs
        own = papers_of(load("verifiers", name))
        asked = [value for knob, value in inner.items() if knob in {"first", "then"}]
        return tuple(dict.fromkeys([*own, *(p for each in asked for p in _papers(what, each))]))
    preset = presets().get(name)
    return papers_of(load("strategies", name if preset is None else preset.strategy))


def _of_result(path: Path) -> list[tuple[str, str]]:
    """What the command used that made the result in the file at `path`."""
    from tts.cli.order import Order
    from tts.errors import ConfigError
    from tts.select import name_of

    try:
        words = shlex.split(json.loads(path.read_text(encoding="utf-8"))["search"]["command"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not a result of 'tts solve --out': {error}") from None
    said = {
        option: words[index + 1]
        for index, option in enumerate(words[:-1])
        if option in {"--strategy", "--verifier", "--select"}
    }
    order = Order(
        strategy=said.get("--strategy", Order().strategy),
        verifier=said.get("--verifier"),
        select=said.get("--select"),
    )
    selector = name_of(order.make_selector(order.make_strategy()))
    used = [("strategy", order.strategy), ("selector", selector)]
    return used if order.verifier is None else [*used, ("verifier", order.verifier)]
