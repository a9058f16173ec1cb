r"""Reasoner: a language model as the teacher, whose code is run while it writes.

GenPRM, sec. 3.3, with the prompt of its code release (`rationale_generation/process.py`, MIT):
QwQ-32B criticises a solution paragraph by paragraph inside its `<think>`; where a fence closes a
block of code the block is run and its output written behind it; at the end the index of the first
wrong paragraph is asked for, several times. Where this differs: the indices are put to a vote, code
runs in the sandbox, and a critique that was cut by a limit is refused.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Self

from tts.backends.base import Backend, Ending, Request, Sample, Sampling
from tts.errors import ConfigError, Overlong
from tts.sandbox.compat import last_block
from tts.sandbox.outcome import Status
from tts.types import Problem
from tts.verifier import Meter, vote_seed
from tts_verifiers.genprm.code import CodeRunner, executed_blocks, run_metered, told
from tts_verifiers.genprm.notation import Draft, Ids, Notation
from tts_verifiers.genprm.profiles import CARD, FENCE, UNEXECUTED
from tts_verifiers.synthesis.rationale import Passage, Rationale
from tts_verifiers.synthesis.wording import turn

SYSTEM: Final = (
    "You are a math teacher. Your task is to review and critique the paragraphs in solution"
    " step by step with python code."
)
ASK: Final = (
    "The following is the math problem and a solution (split into paragraphs, enclosed with tags"
    " and indexed from 1):\n[Math Problem]\n\n{problem}\n\n[Solution]\n\n{solution}\n\nYour task is"
    " to verify the correctness of paragraph in the solution.  Split your verification by"
    " `### Paragraph {{ID}}`. \n\nYour verification for each paragraph should be constructed by 2"
    " parts, wrapped by `<analyze></analyze>` and `<verify></verify>` separately.\n\n1. in"
    " `<analyze>` part, you need to analyze the reasoning process and explain why the paragraph is"
    " correct or incorrect in detail. \n2. in `<verify>` part, you must write **Python code** in"
    " the form of ```python\n{{CODE}}\n``` to verify every details that can be verified by code."
    " You can import PyPI (i.e., `sympy`, `scipy` and so on) to implement complicated calculation."
    " Make sure to print the critic results in the code. Every code will be executed automatically"
    " by system. You need to analyze the `[Code Output]` after code executing.\n\n> Pay attention"
    " that you must follow the format of ```python\n{{CODE}}\n``` when you write the code,"
    " otherwise the code will not be executed.\n\nAfter all verifications, if you identify an error"
    " in a paragraph, return the **index of the paragraph where the earliest error occurs**."
    ' Otherwise, return the **index of -1 (which typically denotes "not found")**. Please put your'
    " final answer (i.e., the index) within box in the form of `$\\boxed{{INDEX}}$`."
)
PARAGRAPH: Final = "<paragraph_{number}>\n{step}\n</paragraph_{number}>"
OPENING: Final = "<think>\n### Paragraph 1\n<analyze>\n"
THOUGHT: Final = "</think>"
VERIFIED: Final = "</verify>"
CONCLUSION: Final = (
    "\n### Final Conclusion\n\nAccording to the requirement, I need to return the **index of the"
    " paragraph where the earliest error occurs**. Otherwise, return the **index of -1 (which"
    ' typically denotes "not found")**.\n\nANSWER: \\boxed'
)
NONE_WRONG: Final = -1

QWQ_SAMPLING: Final = Sampling(temperature=0.6, top_p=0.95, top_k=40)
_INDEX_TOKENS: Final = 16
_HEADER: Final = re.compile(r"^### Paragraph (\d+)[^\n]*\n", re.MULTILINE)
_STEP_TAG: Final = re.compile(r"^Step \d+:\s*")
_INDEX: Final = re.compile(r"\{\s*(-?\d+)\s*\}")


class ReasoningTeacher:
    """A reasoning model that writes and runs code. Owns its engine and its code runner.

    An async context manager, entered and closed in the same task, if its runner is one.
    """

    def __init__(
        self,
        backend: Backend,
        runner: CodeRunner,
        *,
        sampling: Sampling = QWQ_SAMPLING,
        tokens: int = 32_768,
        rounds: int = 64,
        indices: int = 4,
        output_characters: int = 2000,
    ) -> None:
        """
        Args:
            backend: serves the model.
            runner: runs its code.
            sampling: the paper's.
            tokens: of one critique at most, code output included.
            rounds: blocks of code at most.
            indices: how often the first wrong paragraph is asked for; more than half must agree.
            output_characters: of code output at most, for each block.

        Raises:
            ConfigError: a count is below 1.
        """
        counts = {"tokens": tokens, "rounds": rounds, "indices": indices}
        for name, count in {**counts, "output_characters": output_characters}.items():
            if count < 1:
                raise ConfigError(f"{name}={count} must be at least 1")
        self._backend = backend
        self._runner = runner
        self._sampling = sampling
        self._tokens = tokens
        self._rounds = rounds
        self._indices = indices
        self._output_characters = output_characters
        self._notation = Notation(backend.tokenizer, CARD, tokens)
        self.name = f"{backend.model.name} ({tokens} tokens, {rounds} rounds, {indices} indices)"

    async def judge(
        self, problem: Problem, steps: Sequence[str], *, seed: int, meter: Meter
    ) -> Rationale:
        prompt, opening = self._asked(problem.prompt, steps)
        begun = self._notation.start(opening)
        asked, window = len(prompt) + len(begun), self._backend.model.context_tokens
        if asked >= window:
            raise Overlong(
                f"problem and solution take {asked} tokens of a context window of {window}"
            )
        written = await self._reason(prompt, begun, seed, meter)
        if isinstance(written, str):
            return Rationale(refused=written)
        text = OPENING.removesuffix(opening) + written.text
        critique, found, _ = text.rpartition(VERIFIED)
        if not found:
            return Rationale(refused="it verifies nothing")
        concluded = self._notation.quote(
            begun, (critique + VERIFIED + CONCLUSION).removeprefix(OPENING)
        )
        index = await self._conclude(prompt + concluded.opening + concluded.ids, seed, meter)
        if index is None or index > len(steps):
            return Rationale(refused="it is not sure which paragraph is wrong first")
        return passages(critique + VERIFIED, len(steps), None if index == NONE_WRONG else index)

    async def __aenter__(self) -> Self:
        if isinstance(self._runner, AbstractAsyncContextManager):
            await self._runner.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._backend.aclose()
        await self._runner.aclose()

    def _asked(self, problem: str, steps: Sequence[str]) -> tuple[Ids, str]:
        """The conversation, and what of the opening the chat template did not already write."""
        paragraphs = [
            PARAGRAPH.format(number=number, step=_STEP_TAG.sub("", step.strip()))
            for number, step in enumerate(steps, 1)
        ]
        ask = ASK.format(problem=problem, solution="\n\n".join(paragraphs))
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": ask}]
        ids = tuple(self._backend.tokenizer.chat(messages))
        thinks = self._backend.tokenizer.decode(ids[-8:]).endswith("<think>\n")
        return ids, OPENING.removeprefix("<think>\n") if thinks else OPENING

    async def _reason(self, prompt: Ids, draft: Draft, seed: int, meter: Meter) -> Draft | str:
        """The critique with the output of its code; or why it did not come to an end."""
        since = 0
        for round in range(self._rounds):
            room = self._tokens - len(draft)
            sample = await self._sample(
                prompt + draft.opening + draft.ids, room, (FENCE, THOUGHT), (seed, round), meter
            )
            if sample is None or sample.ending is Ending.LENGTH:
                return "it was cut at its longest"
            draft = draft.sampled(sample, self._backend.model.eos_ids)
            if not draft.text.endswith(FENCE):  # the thought has ended, or the whole answer
                return draft
            block = last_block(draft.text[since:])
            if block is None:  # a fence around something else
                continue
            before = executed_blocks(draft.text)
            outcome = await run_metered(self._runner, block, before, meter)
            if outcome.status is Status.CRASHED:  # that says nothing about the code
                return "the sandbox could not run its code"
            draft = self._notation.quote(draft, told(outcome, self._output_characters))
            since = len(draft.text)
        return f"it wrote more than {self._rounds} blocks of code"

    async def _conclude(self, prompt: Ids, seed: int, meter: Meter) -> int | None:
        """The paragraph that is wrong first, from 1, or -1; None if fewer than half agree."""
        said: Counter[int] = Counter()
        for index in range(self._indices):
            sample = await self._sample(
                prompt, _INDEX_TOKENS, ("}",), (seed, self._rounds + index), meter
            )
            match = None if sample is None else _INDEX.match(sample.text)
            if match is not None and (int(match[1]) > 0 or int(match[1]) == NONE_WRONG):
                said[int(match[1])] += 1
        best = said.most_common(1)
        return best[0][0] if best and 2 * best[0][1] > self._indices else None

    async def _sample(
        self, prompt: Ids, room: int, stop: tuple[str, ...], path: tuple[int, int], meter: Meter
    ) -> Sample | None:
        """None if there is no room."""
        room = min(room, self._backend.model.context_tokens - len(prompt))
        if room < 1:
            return None
        request = Request(prompt, room, (vote_seed(*path),), self._sampling, stop)
        try:
            return (await self._backend.generate(request, meter)).samples[0]
        except Overlong:
            return None


def passages(critique: str, steps: int, first_wrong: int | None) -> Rationale:
    """Cut a teacher's critique into one turn for each step, up to the first wrong one.

    Args:
        critique: in the format that `ASK` asks for, with the output of its code.
        steps: how many the solution has.
        first_wrong: the number, from 1, of the first wrong one.
    """
    sections = _sections(critique)
    found: list[Passage] = []
    for number in range(1, (first_wrong or steps) + 1):
        section = sections.get(number, "")
        analysis = _between(section, "<analyze>", "</analyze>").strip()
        verification = _between(section, "<verify>", VERIFIED)
        _, opened, code = verification.partition("```python\n")
        if not analysis:
            return Rationale(refused=f"it does not analyze paragraph {number}")
        if not opened or UNEXECUTED not in code:
            return Rationale(refused=f"it runs no code on paragraph {number}")
        right = number != first_wrong
        found.append(Passage(turn(number, analysis, code, right=right), right))
    return Rationale(tuple(found))


def _sections(critique: str) -> dict[int, str]:
    """By paragraph, what is first said under its heading."""
    headers = list(_HEADER.finditer(critique))
    ends = [header.start() for header in headers[1:]] + [len(critique)]
    sections: dict[int, str] = {}
    for header, end in zip(headers, ends, strict=True):
        sections.setdefault(int(header[1]), critique[header.end() : end])
    return sections


def _between(text: str, opening: str, closing: str) -> str:
    """What stands between the first `opening` and the next `closing`; empty without either."""
    inner, found, _ = text.partition(opening)[2].partition(closing)
    return inner if found else ""
