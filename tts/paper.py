"""Papers: where a method is from, as data in its module, or here where several share it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True, slots=True)
class Paper:
    """One publication."""

    title: str
    authors: tuple[str, ...]
    """`Given Family`, in order; a last one of `others` stands for the rest."""
    year: int
    arxiv: str | None = None
    """Its number, such as `2408.03314`."""
    venue: str | None = None
    """Where it was published, if that was not only arXiv."""
    url: str | None = None

    @property
    def short(self) -> str:
        """As a text cites it: `Snell et al. 2024`."""
        families = [author.rpartition(" ")[2] for author in self.authors]
        names = families[0] if len(families) == 1 else " and ".join(families)
        return f"{names if len(families) < 3 else f'{families[0]} et al.'} {self.year}"

    @property
    def key(self) -> str:
        """Its BibTeX key: `snell2024scaling`."""
        family = self.authors[0].rpartition(" ")[2]
        plain = unicodedata.normalize("NFKD", family).encode("ascii", "ignore").decode()
        first = next(w for w in re.findall(r"[a-z0-9]+", self.title.lower()) if w not in _SMALL)
        return f"{re.sub('[^a-z]', '', plain.lower())}{self.year}{first}"

    @property
    def bibtex(self) -> str:
        """Its entry."""
        fields = {
            "title": f"{{{self.title}}}",
            "author": " and ".join(self.authors),
            "year": str(self.year),
        }
        if self.venue is not None:
            fields["howpublished"] = self.venue
        if self.arxiv is not None:
            fields |= {"eprint": self.arxiv, "archiveprefix": "arXiv"}
        if self.url is not None:
            fields["url"] = self.url
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
        return "\n".join([f"@misc{{{self.key},", *lines, "}"])


_SMALL = {"a", "an", "the", "on", "can", "let"}


Factory = TypeVar("Factory", bound=Callable[..., object])


def cites(*papers: Paper) -> Callable[[Factory], Factory]:
    """Say where a function is from that makes a verifier or is a selector; a class has `papers`."""

    def mark(factory: Factory) -> Factory:
        vars(factory)["papers"] = papers
        return factory

    return mark


def papers_of(factory: object) -> tuple[Paper, ...]:
    """Where a plug-in says that it is from."""
    papers: tuple[Paper, ...] = getattr(factory, "papers", ())
    return papers


@dataclass(frozen=True, slots=True)
class Bill:
    """What a search comes to, as arithmetic on a strategy's knobs.

    `depth` is the steps of a solution. A call samples one step, or one answer where a strategy
    completes.
    """

    calls: str
    """Calls to the policy."""
    verdicts: str
    """Steps judged."""
    exact: bool = True
    """Whether it is what all solutions of `depth` steps cost; otherwise it is the most."""
    votes: str | None = None
    """On each judged step, where the strategy decides that; None: as many as the verifier is told
    to take."""


# What more than one module implements. Everything else stands in its module.
COBBE = Paper(
    "Training Verifiers to Solve Math Word Problems",
    ("Karl Cobbe", "Vineet Kosaraju", "Mohammad Bavarian", "others"),
    2021,
    arxiv="2110.14168",
)
SNELL = Paper(
    "Scaling LLM Test-Time Compute Optimally can be More Effective than Scaling Model Parameters",
    ("Charlie Snell", "Jaehoon Lee", "Kelvin Xu", "Aviral Kumar"),
    2024,
    arxiv="2408.03314",
)
SINGHI = Paper(
    "When To Solve, When To Verify: Compute-Optimal Problem Solving and Generative Verification "
    "for LLM Reasoning",
    ("Nishad Singhi", "Hritik Bansal", "Arian Hosseini", "Aditya Grover", "others"),
    2025,
    arxiv="2504.01005",
)
ZHAO = Paper(
    "GenPRM: Scaling Test-Time Compute of Process Reward Models via Generative Reasoning",
    ("Jian Zhao", "Runze Liu", "Kaiyan Zhang", "Zhimu Zhou", "Junqi Gao", "others"),
    2025,
    arxiv="2504.00891",
)
