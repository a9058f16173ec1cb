"""GenPRM: a generative process reward model (Zhao et al. 2025) as a verifier.

Each step is put to a language model as a turn of a conversation. It analyses the step, writes code
to check it, reads what the code prints, and says Yes or No; the score is P(Yes) against P(No) at
that word. The conversation about a path grows by one exchange a step, so that judging a step costs
the engine that step and no more. Votes run side by side and share one request while their
conversations are the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Final, Self

import anyio

from tts.backends.base import Backend
from tts.errors import ConfigError, TTSError, leaves
from tts.verifier import (
    Case,
    Cost,
    Judgement,
    Meter,
    ModelInfo,
    Reduction,
    Step,
    vote_seed,
)
from tts_verifiers.genprm.ballot import Opinion, Voting, abstention, is_right, tally
from tts_verifiers.genprm.bounds import Lengths, Prompt, step_bound
from tts_verifiers.genprm.code import CodeRunner
from tts_verifiers.genprm.effort import Effort, Mode
from tts_verifiers.genprm.minutes import Minutes, Thread
from tts_verifiers.genprm.notation import Draft, Notation
from tts_verifiers.genprm.poll import Poll
from tts_verifiers.genprm.profiles import OUTPUT, Profile
from tts_verifiers.genprm.sequential import Decisive
from tts_verifiers.genprm.turn import NO_ROOM, Critic, Question

DEFAULT: Final = Effort()


class GenPRM:
    """Implements `tts.verifier.Verifier`. Owns its engine and its code runner."""

    def __init__(
        self,
        backend: Backend,
        profile: Profile,
        effort: Effort = DEFAULT,
        *,
        runner: CodeRunner | None = None,
        reduction: Reduction = Reduction.MIN,
    ) -> None:
        """
        Args:
            backend: serves the model.
            profile: how that model is spoken to.
            effort: how much it thinks.
            runner: runs its code; needed by the modes that execute any.
            reduction: of verdicts on steps to one on the prefix (app. A.1).

        Raises:
            ConfigError: code is to be executed and there is no runner.
        """
        if effort.runs_code and runner is None:
            raise ConfigError(f"mode={effort.mode.value} executes code: give it a code runner")
        self._backend = backend
        self._effort = effort
        self._runner = runner
        self._reduction = reduction
        self._notation = Notation(backend.tokenizer, profile, effort.step_tokens)
        self._critic = Critic(backend, self._notation, effort, runner)

    @property
    def model(self) -> ModelInfo | None:
        return self._backend.model

    @property
    def reduction(self) -> Reduction:
        return self._reduction

    @property
    def sampled(self) -> bool:
        return self._effort.mode is not Mode.DIRECT

    def bound(self, case: Case, more_tokens: int) -> Cost:
        if self._effort.stop_at_wrong and any(map(_is_wrong, case.judged)):
            return Cost()
        minutes = self._minutes(case)
        reasoned = Prompt(
            max(len(thread.ids) for thread in minutes.threads),
            max(len(thread.ids) - thread.computed for thread in minutes.threads),
        )
        direct = Prompt(len(minutes.direct.ids), len(minutes.direct.ids) - minutes.direct.computed)
        number = minutes.number
        problem = case.problem.prompt
        new = [step.text.strip() for step in case.steps[len(case.judged) :]]
        turns = [
            self._notation.turn_tokens(
                problem, self._notation.shortened(problem, text, index), index
            )
            for index, text in enumerate(filter(None, new), number)
        ]
        if more_tokens:
            turns.append(self._notation.limit(problem, number + len(turns)))
        total = Cost()
        seconds = self._runner.limit_seconds if self._runner is not None else 0.0
        wanted = case.votes or self._effort.votes
        alone = len(turns) == 1  # what was heard counts for the first step alone
        effort = replace(self._effort, votes=max(1, wanted - alone * len(case.heard)))
        if effort.asks_apart:  # each by itself, as chains do in the worst case
            effort = replace(effort, voting=Voting.CHAIN, decisive=Decisive.NO)
        for index, tokens in enumerate(turns, number):
            lengths = Lengths.of(
                self._notation, self._effort, index, self._backend.model.context_tokens
            )
            reasoned, direct = reasoned.then(tokens), direct.then(tokens)
            total += step_bound(effort, lengths, reasoned, direct, seconds)
            reasoned, direct = reasoned.then(lengths.turn), direct.then(lengths.bare)
        return total

    async def judge(self, case: Case, meter: Meter) -> Sequence[Judgement | None]:
        minutes = self._minutes(case)
        wrong = any(_is_wrong(judgement) for judgement in case.judged)
        verdicts: list[Judgement | None] = []
        wanted, heard = case.votes or self._effort.votes, case.heard
        for step, seed in zip(case.steps[len(case.judged) :], case.seeds, strict=True):
            judgement = None
            if step.text.strip() and not (wrong and self._effort.stop_at_wrong):
                last = len(case.judged) + len(verdicts) + 1 == len(case.steps)
                # Votes that were asked for by number are all given.
                decisive = self._effort.decisive if case.votes is None else Decisive.NO
                poll = Poll(heard, wanted, decisive, case.told if last else None)
                judgement = await self._judge(minutes, step, seed, poll, meter)
            verdicts.append(judgement)
            heard = ()
            wrong = wrong or _is_wrong(judgement)
            minutes.record(step, judgement)
        return verdicts

    async def __aenter__(self) -> Self:
        """Start what runs its code; left by `aclose`, in the same task. Needed for that alone."""
        if isinstance(self._runner, AbstractAsyncContextManager):
            await self._runner.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._backend.aclose()
        if self._runner is not None:
            await self._runner.aclose()

    def _minutes(self, case: Case) -> Minutes:
        return Minutes(self._notation, case, self._effort.chains, self._effort.outvoted)

    async def _judge(
        self, minutes: Minutes, step: Step, seed: int, poll: Poll, meter: Meter
    ) -> Judgement:
        if not minutes.fits(step):
            reason = f"the step is longer than {self._effort.step_tokens} tokens"
            return Judgement(None, reason=reason)
        own = Meter()
        try:
            return tally(await self._opinions(minutes, step, seed, poll, own), own.cost)
        finally:
            meter.add(own)

    async def _opinions(
        self, minutes: Minutes, step: Step, seed: int, poll: Poll, meter: Meter
    ) -> list[Opinion]:
        content = minutes.content(step)
        depth = minutes.number - 1
        if self._effort.mode is Mode.DIRECT and poll.heard:
            return list(poll.heard)  # it would say the same again
        if self._effort.mode is Mode.DIRECT or (
            self._effort.mode is Mode.ADAPTIVE and not poll.heard
        ):
            prompt = minutes.direct.ids + self._notation.ask(content, OUTPUT)
            question = Question(prompt, (), depth, minutes.direct.computed)
            opinion = await self._critic.direct(question, meter)
            if self._effort.mode is Mode.DIRECT or self._effort.sure(opinion.vote.score):
                return [opinion]
        opening = self._effort.opening(minutes.number)
        asked = self._notation.ask(content, opening)

        def bill(vote: int) -> Meter:
            return poll.bill(vote) if self._effort.asks_apart else meter

        async def conclude(question: Question, vote: int, draft: Draft) -> None:
            vote_of = self._critic.vote
            hear(vote, await vote_of(question, draft, vote_seed(seed, vote), bill(vote)))

        async def begin(thread: Thread, votes: list[int]) -> None:
            prompt = thread.ids + asked
            question = Question(prompt, thread.critiques, depth, thread.computed)
            drafts = await self._critic.drafts(
                question,
                self._notation.start(opening),
                [vote_seed(seed, vote) for vote in votes],
                bill(votes[0]),
            )
            if drafts is None:
                for vote in votes:
                    hear(vote, abstention("", NO_ROOM))
                return
            for vote, draft in zip(votes, drafts, strict=True):
                group.start_soon(conclude, question, vote, draft)

        waiting = deque(_requests(minutes, poll.due, apart=self._effort.asks_apart))

        def launch() -> None:
            while waiting and waiting[0][1][0] < poll.open_to:
                group.start_soon(begin, *waiting.popleft())

        def hear(vote: int, opinion: Opinion) -> None:
            poll.hear(vote, opinion)
            if poll.over:
                group.cancel_scope.cancel()
            else:
                launch()

        try:
            async with anyio.create_task_group() as group:
                launch()
        except* TTSError as errors:
            raise leaves(errors)[0] from None
        finally:
            poll.settle(meter)
        return poll.opinions


def _requests(minutes: Minutes, votes: range, *, apart: bool) -> Iterable[tuple[Thread, list[int]]]:
    """Which votes are asked for together, and in which conversation: all that have the same one."""
    threads = minutes.threads
    if apart:
        return [(threads[vote % len(threads)], [vote]) for vote in votes]
    shared: dict[Thread, list[int]] = {}
    for vote in votes:
        shared.setdefault(threads[vote % len(threads)], []).append(vote)
    return shared.items()


def _is_wrong(judgement: Judgement | None) -> bool:
    return judgement is not None and judgement.score is not None and not is_right(judgement.score)
