"""Judge: any chat model as a verifier of answers, asked in plain words (Zheng et al. 2023).

It reads the solution, reasons, and is then made to say Yes or No; the score is P(Yes) against
P(No) at that word, as for a GenPRM. It needs no special training, and is worth what the model is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import anyio

from tts.backends.base import Backend, Ending, Request, Sample, Sampling, Tokenizer
from tts.errors import ConfigError, Overlong, TTSError, leaves
from tts.registry import open_backend
from tts.types import Finish
from tts.verifier import (
    Case,
    Cost,
    Judgement,
    Meter,
    ModelInfo,
    Paper,
    Reduction,
    Vote,
    cites,
    vote_seed,
)
from tts_verifiers.genprm.ballot import Opinion, abstention, tally
from tts_verifiers.genprm.score import verdict
from tts_verifiers.prm.spelling import Ids, defused

ZHENG: Final = Paper(
    "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena",
    ("Lianmin Zheng", "Wei-Lin Chiang", "Ying Sheng", "Siyuan Zhuang", "others"),
    2023,
    arxiv="2306.05685",
    venue="NeurIPS 2023",
)
ASK: Final = """\
Here is a problem and {what} of it.

Problem:
{problem}

Solution:
{solution}

Check it step by step, and recompute what can be recomputed. Do not solve the problem in another \
way. Then write "Verdict: Yes" if everything in it is right, "Verdict: No" if anything is wrong."""
WHOLE: Final = "a solution"
BEGINNING: Final = "the beginning of a solution"
VERDICT: Final = "Verdict:"
TOO_LONG: Final = "the solution does not fit the model's context window, or `solution_tokens`"


@dataclass(frozen=True, slots=True)
class Judging:
    """The knobs of a judge.

    Raises:
        ConfigError: a knob is out of its range.
    """

    votes: int = 1
    tokens: int = 1024  # of a vote's reasoning
    solution_tokens: int = 4096  # longest solution that is read
    every_step: bool = False  # judge beginnings of solutions too

    def __post_init__(self) -> None:
        for name in ("votes", "tokens", "solution_tokens"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)} must be at least 1")


class Judge:
    """Implements `tts.verifier.Verifier`; each verdict is on the prefix. Owns its engine."""

    def __init__(self, backend: Backend, judging: Judging) -> None:
        self._backend = backend
        self._judging = judging
        forced, self._verdict_ids = _verdict_words(backend.tokenizer)
        self._after_verdict = forced
        self._after_reasons = backend.tokenizer.encode(f"\n\n{VERDICT}") + forced

    @property
    def model(self) -> ModelInfo | None:
        return self._backend.model

    @property
    def reduction(self) -> Reduction:
        return Reduction.LAST

    @property
    def sampled(self) -> bool:
        return True

    def bound(self, case: Case, more_tokens: int) -> Cost:
        limit = self._limit(case)
        prompts = [min(len(self._ask(case, end)), limit) for end in self._ends(case)]
        if more_tokens:
            prompts.append(limit)
        tokens, votes = self._judging.tokens, case.votes or self._judging.votes
        forced = max(len(self._after_reasons), len(self._after_verdict))
        total = Cost()
        for prompt in prompts:
            total += Cost(prompt, 0, votes * tokens, votes, 1)
            total += Cost(votes * (prompt + tokens + forced), 0, votes, votes, votes)
        return total

    async def judge(self, case: Case, meter: Meter) -> Sequence[Judgement | None]:
        first = len(case.judged)
        verdicts: list[Judgement | None] = [None] * (len(case.steps) - first)

        async def judge(end: int) -> None:
            own = Meter()
            try:
                seed = case.seeds[end - 1 - first]
                heard = [Opinion(vote) for vote in case.heard] if end == first + 1 else []
                votes = range(len(heard), case.votes or self._judging.votes)
                opinions = await self._opinions(case, end, seed, votes, own)
                verdicts[end - 1 - first] = tally(heard + opinions, own.cost)
            finally:
                meter.add(own)

        try:
            async with anyio.create_task_group() as group:
                for end in self._ends(case):
                    group.start_soon(judge, end)
        except* TTSError as errors:
            raise leaves(errors)[0] from None
        return verdicts

    async def aclose(self) -> None:
        await self._backend.aclose()

    async def _opinions(
        self, case: Case, end: int, seed: int, votes: range, meter: Meter
    ) -> list[Opinion]:
        ids = self._ask(case, end)
        room = self._backend.model.context_tokens - len(ids) - len(self._after_reasons) - 1
        if len(ids) > self._limit(case) or room < 1:
            return [abstention("", TOO_LONG) for _ in votes]
        request = Request(
            ids,
            min(self._judging.tokens, room),
            tuple(vote_seed(seed, vote) for vote in votes),
            sampling=self._backend.model.sampling,
            stop=(VERDICT,),
        )
        try:
            samples = (await self._backend.generate(request, meter)).samples
        except Overlong:
            return [abstention("", TOO_LONG) for _ in votes]
        opinions: dict[int, Opinion] = {}

        async def decide(vote: int) -> None:
            opinions[vote] = await self._decide(ids, samples[vote - votes.start], meter)

        async with anyio.create_task_group() as group:
            for vote in votes:
                group.start_soon(decide, vote)
        return [opinions[vote] for vote in votes]

    async def _decide(self, ids: Ids, sample: Sample, meter: Meter) -> Opinion:
        written = sample.token_ids
        if sample.ending is Ending.EOS and written and written[-1] in self._backend.model.eos_ids:
            written = written[:-1]
        said = sample.text.endswith(VERDICT)
        written += self._after_verdict if said else self._after_reasons
        greedy = Sampling(temperature=0.0)
        request = Request(ids + written, 1, sampling=greedy, logprob_ids=self._verdict_ids)
        generation = await self._backend.generate(request, meter)
        logprobs = generation.samples[0].first_logprobs
        if len(logprobs) != 2:
            return abstention(sample.text, "the engine gave no probability for Yes and No")
        found = verdict(*logprobs)
        if found.score is None:
            return abstention(sample.text, found.reason)
        return Opinion(Vote(found.score, sample.text, written))

    def _ends(self, case: Case) -> list[int]:
        """The lengths of the prefixes that get a verdict."""
        steps = case.steps
        return [
            end
            for end in range(len(case.judged) + 1, len(steps) + 1)
            if self._judging.every_step or steps[end - 1].finish is Finish.EOS
            if any(step.text.strip() for step in steps[:end])
        ]

    def _ask(self, case: Case, end: int) -> Ids:
        whole = case.steps[end - 1].finish is Finish.EOS
        solution = "".join(step.text for step in case.steps[:end]).strip()
        return self._chat(case, solution, whole=whole)

    def _limit(self, case: Case) -> int:
        """The longest prompt that is sent."""
        return len(self._chat(case, "", whole=False)) + self._judging.solution_tokens

    def _chat(self, case: Case, solution: str, *, whole: bool) -> Ids:
        content = ASK.format(
            what=WHOLE if whole else BEGINNING,
            problem=defused(case.problem.prompt),
            solution=defused(solution),
        )
        return self._backend.tokenizer.chat([{"role": "user", "content": content}])


def _verdict_words(tokenizer: Tokenizer) -> tuple[Ids, tuple[int, int]]:
    """What is forced after the colon, and the two ids between which the model then chooses."""
    for forced, words in (("", (" Yes", " No")), (" ", ("Yes", "No"))):
        yes, no = (tokenizer.encode(word)[0] for word in words)
        if yes != no:
            return tokenizer.encode(forced), (yes, no)
    raise ConfigError("Yes and No begin with the same token")


@cites(ZHENG)
def judge(backend: str, votes: int = 1, tokens: int = 1024, every_step: bool = False) -> Judge:
    """Any chat model behind an engine; `backend` is its spec."""
    return Judge(open_backend(backend), Judging(votes, tokens, every_step=every_step))
