"""Rollouts: how often a prefix of a solution is completed to the right answer, by trying.

GenPRM, sec. 3.2: K completions of each prefix by a completer, graded against the known answer, K by
the problem's own success rate (eq. 9). The last prefix is the whole solution, whose answer is
checked. Prefixes go to the engine as token ids; siblings meet in its prefix cache. A solution's
prefixes wait for one another, since nothing is sampled after one that is never completed; all else
runs side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import anyio

from tts.answers import Comparer, Verdict, extract_answer, grade
from tts.backends.base import Dialect, Tokenizer
from tts.budget.meter import Meter
from tts.errors import ConfigError
from tts.policy import Policy
from tts.seeds import node_seed
from tts.types import Finish, Problem, Step
from tts_verifiers.synthesis.progress import DEAD, DEFAULT_SCHEDULE, Estimate, Schedule


@dataclass(slots=True)
class Tally:
    """What the rollouts for one solution, or for one problem, came to."""

    meter: Meter
    rollouts: int = 0
    undecided: int = 0
    """Answers of which it is not known whether they are right; they count as wrong."""


class Completer:
    """Completes prefixes with a policy, at most `at_once` at a time."""

    def __init__(
        self,
        policy: Policy,
        checker: Comparer,
        *,
        schedule: Schedule = DEFAULT_SCHEDULE,
        seed: int = 0,
        at_once: int = 64,
    ) -> None:
        """
        Args:
            policy: writes the completions; the paper's is another model than the one that wrote
                the solutions.
            checker: compares answers.
            schedule: how many completions.
            seed: decides them all, with the ids of problem and solution.
            at_once: completions in progress, >= 1.

        Raises:
            ConfigError: `at_once` is below 1.
        """
        if at_once < 1:
            raise ConfigError(f"at_once={at_once} must be at least 1")
        self._policy = policy
        self._checker = checker
        self._schedule = schedule
        self._seed = seed
        self._at_once = at_once
        self._places: anyio.CapacityLimiter | None = None

    async def pass_rate(self, problem: Problem, tally: Tally) -> Estimate:
        """MC(s_1): begun with the fewest rollouts, more as long as the rate so far asks for more.

        Raises:
            ConfigError: the problem has no answer to check against.
            Overlong: it does not fit the completer's context window.
            BackendError: the engine failed.
        """
        estimate, wanted = Estimate(0, 0), self._schedule.first
        while estimate.rollouts < wanted:
            more = range(estimate.rollouts, wanted)
            seeds = [node_seed(self._seed, problem.id, (0, index)) for index in more]
            successes = await self._successes(problem, (), seeds, tally)
            estimate = Estimate(estimate.successes + successes, wanted)
            wanted = self._schedule.rollouts(estimate.rate)
        return estimate

    async def estimates(
        self, problem: Problem, name: str, steps: Sequence[Step], rate: Fraction, tally: Tally
    ) -> tuple[Estimate, ...]:
        """MC of the prefix that ends with each step; after the first 0 nothing is sampled.

        Args:
            problem: with its answer.
            name: of the solution; decides the seeds.
            steps: a whole solution.
            rate: MC(s_1), which decides K.
            tally: what it takes is booked there.

        Raises:
            As `pass_rate`.
        """
        if rate == 0:
            return (DEAD,) * len(steps)
        count = self._schedule.rollouts(rate)
        found: list[Estimate] = []
        for end in range(1, len(steps)):
            if found and not found[-1].successes:
                found.append(DEAD)
                continue
            seeds = [node_seed(self._seed, name, (end, index)) for index in range(count)]
            successes = await self._successes(problem, steps[:end], seeds, tally)
            found.append(Estimate(successes, count))
        if found and not found[-1].successes:
            return (*found, DEAD)
        right = await self._is_right(problem, "".join(step.text for step in steps), tally)
        return (*found, Estimate(int(right), 1))

    async def _successes(
        self, problem: Problem, prefix: Sequence[Step], seeds: Sequence[int], tally: Tally
    ) -> int:
        room = self._room(problem, prefix)
        tally.rollouts += len(seeds)
        if room < 1:  # the prefix is as long as an answer may be: a dead end
            return 0
        successes = 0

        async def attempt(seed: int) -> None:
            nonlocal successes
            solved = await self._attempt(problem, prefix, room, seed, tally)
            successes += solved  # after the wait: others count meanwhile

        async with anyio.create_task_group() as group:
            for seed in seeds:
                group.start_soon(attempt, seed)
        return successes

    async def _attempt(
        self, problem: Problem, prefix: Sequence[Step], room: int, seed: int, tally: Tally
    ) -> bool:
        if self._places is None:
            self._places = anyio.CapacityLimiter(self._at_once)
        async with self._places:
            written = await self._policy.complete(
                replace(problem, answer=None),
                prefix,
                max_tokens=room,
                seed=seed,
                meter=tally.meter,
            )
        if written[-1].finish is not Finish.EOS:  # cut: no answer, whatever is written in it
            return False
        text = "".join(step.text for step in (*prefix, *written))
        return await self._is_right(problem, text, tally)

    async def _is_right(self, problem: Problem, text: str, tally: Tally) -> bool:
        if problem.answer is None:
            raise ConfigError(f"problem {problem.id!r} has no answer to check rollouts against")
        verdict = await grade(extract_answer(text), problem.answer, self._checker)
        tally.undecided += verdict is Verdict.UNKNOWN
        return verdict is Verdict.EQUAL

    def _room(self, problem: Problem, prefix: Sequence[Step]) -> int:
        model = self._policy.model
        prompt = self._policy.bound(problem, prefix, 0).prompt_tokens
        written = sum(len(step.token_ids) for step in prefix)
        return min(model.dialect.answer_tokens - written, model.context_tokens - prompt)


def as_steps(texts: Sequence[str], tokenizer: Tokenizer, dialect: Dialect) -> tuple[Step, ...]:
    """Texts of a solution's steps as a policy would have written them, encoded once.

    Each step but the last is given its delimiter if it lacks it, and encoded together with it.
    """
    steps: list[Step] = []
    for number, text in enumerate(texts, 1):
        last = number == len(texts)
        whole = text if last or text.endswith(dialect.delimiter) else text + dialect.delimiter
        finish = Finish.EOS if last else Finish.STEP
        steps.append(Step(whole, tuple(tokenizer.encode(whole)), finish=finish))
    return tuple(steps)
