r"""Turn: one vote on one step, written in rounds of analysis, code and its output, to a verdict.

GenPRM, sec. 3.3 and the code release's `_single_inference`: analyse up to `</analyze>`; then, at
most three times, write until a fence closes a block of code, run the last block, and write its
output behind it; the verdict ends the turn. Where the rounds or the tokens are used up the code is
discarded and a verdict is forced after the analysis. Where this differs:

- As soon as the output section is opened its fixed words are put down, and one call for one token
  asks for the probabilities of Yes and No there, so that no other call has to report any and no
  verdict has to be found in free text. The likelier one then stands in the turn.
- A turn that is cut by its limit, or that ends without new code or verdict, does not run its old
  code again (one whose fence closes something else does, as there). Nor does a last round whose
  output nobody would read: without an analysis to fall back on, what was written stays and is read.
- Imagined output is asked for once for each block, and only up to the fence that ends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tts.backends.base import Backend, Ending, Request, Sample, Sampling
from tts.errors import ConfigError, Overlong
from tts.sandbox.compat import last_block
from tts.sandbox.outcome import Status
from tts.verifier import Meter, Vote, vote_seed
from tts_verifiers.genprm.ballot import Opinion, abstention, is_right
from tts_verifiers.genprm.code import CodeRunner, executed_blocks, run_metered, told
from tts_verifiers.genprm.effort import Effort, Mode
from tts_verifiers.genprm.notation import Draft, Ids, Notation
from tts_verifiers.genprm.profiles import (
    ANALYZED,
    BRACE,
    FENCE,
    NO,
    OUTPUT,
    OUTPUT_TAG,
    UNEXECUTED,
    VERIFIED,
    VERIFY,
    YES,
)
from tts_verifiers.genprm.score import verdict

TOO_LONG: Final = "the conversation does not fit the model's context window"
NO_ROOM: Final = "no room for a critique in the model's context window, or in `tokens`"
_GREEDY: Final = Sampling(temperature=0.0)


@dataclass(frozen=True, slots=True)
class Question:
    """A step put to the critic, with all that was said before."""

    prompt: Ids
    """The conversation, up to and including the opening of the turn to be written."""
    earlier: tuple[str, ...] = ()
    """The critiques of earlier steps: their code has been run."""
    depth: int = 0
    """Steps before this one: the deepest are served first."""
    computed: int = 0
    """How much of `prompt` the engine has computed."""

    def known(self, draft: Draft) -> int:
        """How much of the prompt with `draft` behind it the engine has computed."""
        if draft.computed is None:
            return self.computed
        return len(self.prompt) + draft.computed


class Critic:
    """Writes turns."""

    def __init__(
        self, backend: Backend, notation: Notation, effort: Effort, runner: CodeRunner | None
    ) -> None:
        """
        Raises:
            ConfigError: the model cannot tell Yes from No by one token.
        """
        self._backend = backend
        self._notation = notation
        self._effort = effort
        self._runner = runner
        self._eos = backend.model.eos_ids
        yes, no = (notation.fixed(word)[:1] for word in (YES, NO))
        if yes == no:
            raise ConfigError(f"Yes and No begin with the same token in {backend.model.name}")
        self._verdict_ids = yes + no

    async def direct(self, question: Question, meter: Meter) -> Opinion:
        """A verdict without reasons, after `OUTPUT`. All votes would agree: nothing is sampled."""
        asked = self._notation.force(self._notation.start(OUTPUT), BRACE)
        return await self._decide(question, asked, meter)

    async def drafts(
        self, question: Question, opening: Draft, seeds: Sequence[int], meter: Meter
    ) -> list[Draft] | None:
        """Analyses of a step, one for each seed, in one request; None if there is no room.

        Where there is to be no analysis, the opening alone.
        """
        if not self._effort.analyzes:
            return [opening for _ in seeds]
        samples = await self._sample(question, opening, (ANALYZED, OUTPUT_TAG), seeds, meter)
        return None if samples is None else [self._analysis(opening, each) for each in samples]

    async def vote(self, question: Question, analysis: Draft, seed: int, meter: Meter) -> Opinion:
        """Go on from one of `drafts` to a verdict."""
        if not self._effort.analyzes:
            return await self._code_only(question, analysis, seed, meter)
        mode = self._effort.mode
        if analysis.text.endswith(OUTPUT_TAG):  # it went for its verdict at once
            mode = Mode.COT
        first = None
        if mode in {Mode.COT, Mode.ADAPTIVE}:
            first = await self._verdict(question, analysis, meter)
            if mode is Mode.COT or self._effort.sure(first.vote.score):
                return first
        begun = self._notation.force(analysis, VERIFY)
        draft = await self._verify(question, begun, len(analysis.text), seed, meter)
        if not draft.text.endswith(OUTPUT_TAG):  # all that is left is the analysis
            return first or await self._verdict(question, analysis, meter)
        second = await self._verdict(question, draft, meter)
        return second if first is None or second.vote.score is not None else first

    async def _code_only(
        self, question: Question, begun: Draft, seed: int, meter: Meter
    ) -> Opinion:
        draft = await self._verify(question, begun, 0, seed, meter)
        if draft is begun:
            return abstention("", NO_ROOM)
        if not draft.text.endswith(OUTPUT_TAG):
            draft = self._notation.force(draft, VERIFIED)
        return await self._verdict(question, draft, meter)

    def _analysis(self, opening: Draft, sample: Sample) -> Draft:
        draft = opening.sampled(sample, self._eos)
        if ANALYZED in sample.text or draft.text.endswith(OUTPUT_TAG):
            return draft
        closed = draft.text.endswith(ANALYZED.rstrip())
        return self._notation.force(draft, "\n" if closed else ANALYZED)

    async def _verify(
        self, question: Question, draft: Draft, since: int, seed: int, meter: Meter
    ) -> Draft:
        """The turn up to its output section, or as far as it gets.

        Args:
            question: as ever.
            draft: begins a block of code.
            since: where in its text that is; later, what follows the last code that was run.
            seed: decides what is written.
            meter: is told what it takes.
        """
        for round in range(1, self._effort.rounds + 1):
            stop = (FENCE, OUTPUT_TAG)
            round_seed = vote_seed(seed, round)
            samples = await self._sample(question, draft, stop, (round_seed,), meter)
            if samples is None:
                return draft
            draft = draft.sampled(samples[0], self._eos)
            if draft.text.endswith(OUTPUT_TAG):
                return draft
            lost = samples[0].ending is not Ending.STOP and last_block(draft.text[since:]) is None
            block = last_block(draft.text)  # an old one, where the fence closes something else
            unread = round == self._effort.rounds and self._effort.analyzes
            if unread or samples[0].ending is Ending.LENGTH or lost or block is None:
                return draft
            ended = draft.text.endswith("\n")
            asked = draft if ended else self._notation.force(draft, "\n")
            replied = await self._reply(question, asked, block, round_seed, meter)
            if replied is None or len(replied) > self._effort.tokens:
                return draft
            draft = replied
            since = len(draft.text)
        return draft

    async def _reply(
        self,
        question: Question,
        draft: Draft,
        block: str,
        seed: int,
        meter: Meter,
    ) -> Draft | None:
        """The turn with the output of its last code, run or imagined; None if that fails."""
        if self._runner is None or not self._effort.runs_code:
            draft = self._notation.force(draft, UNEXECUTED)
            samples = await self._sample(question, draft, (FENCE,), (vote_seed(seed, 0),), meter)
            if samples is None or samples[0].ending is not Ending.STOP:
                return None
            return draft.sampled(samples[0], self._eos)
        critiques = (*question.earlier, draft.text)
        before = [each for critique in critiques for each in executed_blocks(critique)]
        outcome = await run_metered(self._runner, block, before, meter)
        if outcome.status is Status.CRASHED:  # that says nothing about the code
            return None
        return self._notation.quote(draft, told(outcome, self._effort.output_characters))

    async def _verdict(self, question: Question, draft: Draft, meter: Meter) -> Opinion:
        return await self._decide(question, self._notation.to_verdict(draft), meter)

    async def _decide(self, question: Question, asked: Draft, meter: Meter) -> Opinion:
        """Ask for Yes or No, which is due now, and end the turn with the likelier one."""
        ids = question.prompt + asked.ids
        if len(ids) >= self._backend.model.context_tokens:
            return abstention(asked.text, TOO_LONG)
        request = Request(
            ids,
            1,
            sampling=_GREEDY,
            logprob_ids=self._verdict_ids,
            priority=question.depth,
            known=question.known(asked),
        )
        try:
            generation = await self._backend.generate(request, meter)
        except Overlong:
            return abstention(asked.text, TOO_LONG)
        logprobs = generation.samples[0].first_logprobs
        if len(logprobs) != 2:
            return abstention(asked.text, "the engine gave no probability for Yes and No")
        found = verdict(*logprobs)
        if found.score is None:
            return abstention(asked.text, found.reason)
        closed = self._notation.closed(asked, is_right(found.score))
        return Opinion(Vote(found.score, closed.text, closed.turn))

    async def _sample(
        self,
        question: Question,
        draft: Draft,
        stop: tuple[str, ...],
        seeds: Sequence[int],
        meter: Meter,
    ) -> tuple[Sample, ...] | None:
        """Sample on, with room left to force a verdict; None if there is none left."""
        prompt = question.prompt + draft.ids
        forced = self._notation.forced_tokens + 1
        context = self._backend.model.context_tokens - len(prompt) - forced
        room = min(self._effort.tokens - len(draft), context)
        if room < 1:
            return None
        request = Request(
            prompt,
            room,
            tuple(seeds),
            sampling=self._effort.sampling,
            stop=stop,
            priority=question.depth,
            known=question.known(draft),
        )
        try:
            return (await self._backend.generate(request, meter)).samples
        except Overlong:
            return None
