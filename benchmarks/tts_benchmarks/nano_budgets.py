"""Nano budgets: accuracy against compute, when the same compute can buy samples or votes.

Every arm solves the same held-out problems at each budget of FLOPs, policy and verifier together.
Fixed pairs (S samples, V votes) are whatever a budget pays for; the best of them is chosen on
problems of their own (`dev`) and then shown on the held-out ones, beside self-consistency and the
online scheduler. A sample that two arms ask for is drawn once and paid for by both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tts.backends.memory import Memory
from tts.budget.budget import Budget
from tts.engine import Engine
from tts.policy import LanguagePolicy
from tts.registry import open_backend
from tts.result import Result
from tts.strategy import Strategy
from tts.types import Problem
from tts.verifier import Reduction
from tts_benchmarks.report import Cell, Report
from tts_benchmarks.statistics import difference, estimate
from tts_nano.problems import MIDDLE, Split, generate
from tts_strategies.split import Split as Fixed
from tts_strategies.value_of_information import ValueOfInformation
from tts_verifiers.genprm import PROFILES, Effort, GenPRM, Mode
from tts_verifiers.genprm.sandbox import SandboxRunner

_FIRST_SEED = 400_000  # apart from the problems of other studies on the same split


@dataclass(frozen=True)
class NanoBudgets:
    """Budgets double from `least` MFLOPs, `octaves` times."""

    least: float = 6000.0
    octaves: int = 4
    problems: int = 300
    chosen_on: int = 150  # problems of `dev` for the choice of a fixed pair
    family: str = "reduction"
    level: int = MIDDLE
    policy: str = "nano"
    verifier: str = "nano:verifier"
    votes: str = "0,1,2,4"
    approves_right: float = 0.9
    approves_wrong: float = 0.15
    correlation: float = 0.5
    scatter: float = 4.0
    at_once: int = 32
    seed: int = 0

    async def run(self, progress: Callable[[str, float], None]) -> Report:
        """Run everything; `progress` hears what is being done and how far it is."""
        policy = LanguagePolicy(Memory(open_backend(self.policy)))
        served = Memory(open_backend(self.verifier))
        effort = Effort(
            Mode.CODE,
            tokens=256,
            rounds=2,
            step_tokens=256,
            output_characters=200,
            stop_at_wrong=True,
        )
        judge = GenPRM(
            served, PROFILES["nano"], effort, runner=SandboxRunner(), reduction=Reduction.MIN
        )
        votes = [int(each) for each in self.votes.split(",")]
        online = ValueOfInformation(
            approves_right=self.approves_right,
            approves_wrong=self.approves_wrong,
            correlation=self.correlation,
            scatter=self.scatter,
            votes=max(votes),
        )
        rows: list[tuple[Cell, ...]] = []
        async with Engine(policy, judge, seed=self.seed) as engine:
            chosen = self._problems("dev", self.chosen_on)
            shown = self._problems("test", self.problems)
            for octave in range(self.octaves):
                budget = Budget(flops=self.least * 2**octave * 1e6)

                async def solve(
                    name: str, problems: list[Problem], strategy: Strategy, budget: Budget = budget
                ) -> list[Result]:
                    done = 0

                    def tell(_: Result) -> None:
                        nonlocal done
                        done += 1
                        progress(name, done / len(problems))

                    return await engine.solve_all(
                        problems, strategy, budget, at_once=self.at_once, on_result=tell
                    )

                pairs = {count: Fixed(256, count) for count in votes}
                tried = {
                    count: self._right(
                        "dev", await solve(f"V={count}, chosen on dev", chosen, pair)
                    )
                    for count, pair in pairs.items()
                }
                best = max(tried, key=lambda count: sum(tried[count]))
                plain = await solve("self-consistency", shown, pairs[0])
                base = self._right("test", plain)
                arms = {"self-consistency": plain}
                if best:
                    arms[f"best fixed: V={best}"] = await solve("best fixed", shown, pairs[best])
                arms["online"] = await solve("online", shown, online)
                fixed = self._right("test", list(arms.values())[-2])
                for name, results in arms.items():
                    right = self._right("test", results)
                    rows.append(
                        (
                            f"{self.least * 2**octave:.0f}",
                            name,
                            estimate(right, self.seed),
                            None
                            if name == "self-consistency"
                            else difference(right, base, self.seed),
                            difference(right, fixed, self.seed) if name == "online" else None,
                            round(sum(r.spend.total.flops for r in results) / len(results) / 1e6),
                            _mean([len(r.candidates) for r in results]),
                        )
                    )
        columns = (
            "MFLOPs",
            "arm",
            "accuracy",
            "minus self-consistency",
            "minus best fixed",
            "spent",
            "solutions",
        )
        notes = (
            "Budgets are hard, a problem each. Intervals: 95 %, bootstrap over problems.",
            f"The fixed pair is the best of V in {self.votes} on {self.chosen_on} problems of dev.",
        )
        title = f"{self.problems} held-out problems of {self.family}, level {self.level}"
        return Report(title, columns, tuple(rows), notes)

    def _problems(self, split: Split, count: int) -> list[Problem]:
        drawn = [
            generate(self.family, self.level, seed, split)
            for seed in range(_FIRST_SEED, _FIRST_SEED + count)
        ]
        return [Problem(each.id, each.prompt) for each in drawn]

    def _right(self, split: Split, results: list[Result]) -> list[float]:
        answers = {
            each.id: generate(self.family, self.level, int(each.id.rsplit("-", 1)[1]), split).answer
            for each in (result.problem for result in results)
        }
        return [float(result.answer == answers[result.problem.id]) for result in results]


def _mean(values: list[int]) -> float:
    return round(sum(values) / len(values), 1)
