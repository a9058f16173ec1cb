"""How busy searches keep an engine, in virtual time; beside them the lock-step loops of others.

    python benchmarks/overhead/barrier/bench.py [--json] [--only NAME] [--pace lognormal]

A machine with 64 slots serves policy and verifier; one sample in twenty takes ten times as long.
Each strategy of the registry solves 128 problems, once with as many problems at once as slots, once
with a quarter of that. Deterministic: the same figures on every machine. See README.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

from crowd import Crowd, Tally
from peers import beam, dvts, lock_step

from tts.registry import load, names
from tts.testing.machine import lognormal, stragglers

PACES = {"stragglers": stragglers, "lognormal": lognormal}
SMALL: dict[str, dict[str, object]] = {
    "mcts": {"simulations": 16},
    "rstar": {"rollouts": 6},
    "voi": {"at_most": 8},
    "by_law": {"at_most": 16},
    "deepconf": {"n": 24, "warmup": 8, "window": 16},
}
"""Knobs where the strategy's own are for more than a benchmark needs."""


def arms() -> dict[str, Callable[[Crowd], Tally]]:
    """What is run, by name."""
    ours = {
        name: lambda crowd, name=name: crowd.search(load("strategies", name)(**SMALL.get(name, {})))
        for name in names("strategies")
        if name != "table"  # it does what others do, by a table of one's own
    }
    peers: dict[str, Callable[[Crowd], Tally]] = {
        "lock-step beam, all at once": lambda crowd: lock_step(crowd, beam(16, 4), crowd.at_once),
        "lock-step beam, one by one": lambda crowd: lock_step(crowd, beam(16, 4), 1),
        "lock-step dvts, all at once": lambda crowd: lock_step(crowd, dvts(16, 4), crowd.at_once),
    }
    return {**ours, **peers}


def row(name: str, arm: Callable[[Crowd], Tally], pace: str) -> dict[str, object]:
    """Both crowds."""
    found: dict[str, object] = {"arm": name}
    for label, at_once in (("full", 64), ("few", 16)):
        # One by one means that nothing else goes on, as in the script it stands for.
        crowd = Crowd(at_once=1 if name.endswith("one by one") else at_once, pace=PACES[pace])
        tally = arm(crowd)
        found[f"busy_{label}"] = tally.busy
        found[f"seconds_{label}"] = tally.seconds
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", help="a part of the arm's name")
    parser.add_argument("--pace", choices=PACES, default="stragglers")
    asked = parser.parse_args()
    rows = []
    if not asked.json:
        print(f"{'':30} {'64 problems at once':>24} {'16 at once':>24}")
        print(f"{'arm':30} {'busy':>12} {'seconds':>11} {'busy':>12} {'seconds':>11}")
    for name, arm in arms().items():
        if asked.only is None or asked.only in name:
            rows.append(found := row(name, arm, asked.pace))
            if not asked.json:
                print(
                    f"{name:30} {found['busy_full']:12.3f} {found['seconds_full']:11.0f}"
                    f" {found['busy_few']:12.3f} {found['seconds_few']:11.0f}",
                    flush=True,
                )
    if asked.json:
        print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
