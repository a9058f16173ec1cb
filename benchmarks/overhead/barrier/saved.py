"""What cancelled votes and speculation save and cost, relative to searches without them.

    python benchmarks/overhead/barrier/saved.py votes|ahead

Virtual time and the same samples on both sides; see README.md.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import replace

from crowd import Crowd, Tally

from tts.strategy import Strategy
from tts_strategies.beam import Beam
from tts_strategies.dvts import DVTS
from tts_strategies.particles import Particles
from tts_strategies.rebase import Rebase


def clear_cut(text: str) -> float:
    """P(Yes): two steps in five are good, and a vote is right in 95 of 100 cases."""
    return 0.95 if random.Random(text).random() < 0.4 else 0.05


def ratios(one: Tally, other: Tally) -> Sequence[float]:
    """Verifier tokens, all tokens, seconds and tokens in no answer: the second by the first."""

    def sums(tally: Tally) -> tuple[float, float, float, float]:
        spends = [result.spend for result in tally.results]
        return (
            sum(spend.verifier.output_tokens for spend in spends),
            sum(spend.total.tokens for spend in spends),
            tally.seconds,
            sum(spend.waste.tokens for spend in spends),
        )

    return [b / a for a, b in zip(sums(one), sums(other), strict=True)]


def votes() -> None:
    """Votes on steps that are certain to be pruned."""
    print("strategy  slots  verifier tokens  seconds  in no answer")
    for slots in (16, 64):
        crowd = Crowd(slots=slots, at_once=1, problems=16, votes=8, likely=clear_cut)
        pairs: list[tuple[Strategy, Strategy]] = [
            (Beam(n=16, width=4), Beam(n=16, width=4, decisive=True)),
            (DVTS(n=16, width=4), DVTS(n=16, width=4, decisive=True)),
        ]
        for plain, decisive in pairs:
            verifier, _, seconds, waste = ratios(crowd.search(plain), crowd.search(decisive))
            name = type(plain).__name__
            print(
                f"{name:8}  {slots:5}  {verifier:15.3f}  {seconds:7.3f}  {waste:12.3f}", flush=True
            )


def ahead() -> None:
    """Steps that are written while the verdict before them is outstanding."""
    print("strategy                     alone: seconds  tokens   16 at once: seconds  tokens")
    strategies = [Beam(), DVTS(), Rebase(), Particles(n=16), Particles(n=4)]
    for strategy in strategies:
        cells: list[str] = []
        for at_once, problems in ((1, 12), (16, 48)):
            crowd = Crowd(at_once=at_once, problems=problems)
            speculating = replace(crowd, speculate=16)
            _, tokens, seconds, _ = ratios(crowd.search(strategy), speculating.search(strategy))
            cells.append(f"{seconds:7.3f}  {tokens:6.3f}")
        name = f"{type(strategy).__name__} n={strategy.n}"
        print(f"{name:30} {cells[0]:>20} {cells[1]:>28}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("votes", "ahead"))
    {"votes": votes, "ahead": ahead}[parser.parse_args().what]()


if __name__ == "__main__":
    main()
