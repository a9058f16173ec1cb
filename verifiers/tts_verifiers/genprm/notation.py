"""Notation: how a profile's conversation is spelt in a model's token ids.

Every text that nobody sampled is encoded once, by itself or as one turn, and appended as ids. What
was sampled is never decoded and encoded again, so that the conversation for a step is the beginning
of the conversation for the next one, id for id, and the engine's prefix cache serves it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from tts.backends.base import Ending, Sample, Tokenizer
from tts_verifiers.genprm.profiles import (
    ANALYZE,
    ANALYZED,
    BRACE,
    CLOSE,
    NO,
    OUTPUT,
    OUTPUT_TAG,
    VERIFIED,
    VERIFY,
    YES,
    Profile,
)

Ids = tuple[int, ...]

LEFT_OUT: Final = "\n[... {count} characters left out ...]\n"

_SPECIAL: Final = re.compile(r"<(?=[|｜][^<>\n]{1,64}[|｜]>|/?s>)")  # noqa: RUF001
_CHARACTERS_PER_TOKEN: Final = 32  # more than that on average is blanks, or rubbish


@dataclass(frozen=True, slots=True)
class Draft:
    """An assistant's turn while it is written: what was sampled and what was put in its mouth."""

    opening: Ids
    """The forced beginning, encoded by itself."""
    ids: Ids
    """What follows it."""
    text: str
    """All of it."""
    computed: int | None = None
    """How many of `ids` the engine has computed; None until it has sampled any."""

    def __len__(self) -> int:
        """Tokens."""
        return len(self.opening) + len(self.ids)

    @property
    def turn(self) -> Ids:
        """All of its tokens."""
        return self.opening + self.ids

    def then(self, ids: Ids, text: str) -> Draft:
        """The turn with something more at its end."""
        return replace(self, ids=self.ids + ids, text=self.text + text)

    def sampled(self, sample: Sample, eos_ids: tuple[int, ...]) -> Draft:
        """The turn with what was sampled at its end, less the token that ended the answer."""
        ids = sample.token_ids
        if sample.ending is Ending.EOS and ids and ids[-1] in eos_ids:
            ids = ids[:-1]
        # The last token was drawn and not read.
        return replace(self.then(ids, sample.text), computed=len(self.ids) + max(len(ids) - 1, 0))


class Notation:
    """Texts to ids, for one profile and one tokenizer."""

    def __init__(self, tokenizer: Tokenizer, profile: Profile, step_tokens: int) -> None:
        """A user turn may take `step_tokens` ids, markup included; the first the problem's too."""
        self.profile = profile
        self._step_tokens = step_tokens
        self._tokenizer = tokenizer
        self.fixed = lru_cache(maxsize=1024)(tokenizer.encode)
        self._turn = lru_cache(maxsize=4096)(self._encode)
        self.bare = lru_cache(maxsize=2)(self._bare)

    def begin(self, system: str | None) -> Ids:
        """What stands before the first turn."""
        markup = self.profile.markup
        spelled = "" if system is None else markup.system.format(text=system)
        return self.fixed(markup.begin + spelled)

    def content(self, problem: str, step: str, number: int) -> str:
        """The user's words that put paragraph `number` (from 1) up for critique."""
        return self.profile.first.format(problem=problem, step=step) if number == 1 else step

    def past(self, content: str, reply: Ids) -> Ids:
        """A finished exchange: the user's turn and the assistant's."""
        header = self.profile.markup.assistant_open
        return self.user(content, header) + reply + self.fixed(self.profile.markup.assistant_close)

    def ask(self, content: str, opening: str) -> Ids:
        """The user's turn, and the beginning of the assistant's."""
        if self.profile.header:
            header = self.profile.markup.assistant_open
            return self.user(content, header) + self.fixed(opening)
        # No special token stands between the two: encoded in one, as the authors did.
        return self.user(content, opening)

    def user(self, content: str, what_follows: str) -> Ids:
        """The user's turn and forced text after it, in one piece. Special tokens that `content`
        spells out are cut in two, so that a step cannot open a turn.
        """
        return self._turn(content, what_follows)

    def limit(self, problem: str, number: int) -> int:
        """The most ids of the user's turn and the assistant's header, for paragraph `number`."""
        if number > 1:
            return self._step_tokens
        return self._step_tokens + self.turn_tokens(problem, "", number)

    def turn_tokens(self, problem: str, step: str, number: int) -> int:
        """The most ids that paragraph `number` takes before the assistant's turn, in any use."""
        content = self.content(problem, step, number)
        openings = (ANALYZE.format(number=number), VERIFY, OUTPUT)
        asked = (len(self.ask(content, each)) - len(self.fixed(each)) for each in openings)
        return max(len(self.user(content, self.profile.markup.assistant_open)), *asked)

    def fits(self, problem: str, step: str, number: int) -> bool:
        """Whether paragraph `number` is short enough to be read whole."""
        if len(step) > _CHARACTERS_PER_TOKEN * self._step_tokens:
            return False
        return self.turn_tokens(problem, step, number) <= self.limit(problem, number)

    def shortened(self, problem: str, step: str, number: int) -> str:
        """`step`, or its beginning and end around a notice if it is too long to be read whole."""
        keep = min(len(step) // 2, _CHARACTERS_PER_TOKEN * self._step_tokens // 4)
        shown = step
        while not self.fits(problem, shown, number) and shown:
            notice = LEFT_OUT.format(count=len(step) - 2 * keep)
            shown = step[:keep] + notice + step[len(step) - keep :] if keep else ""
            keep //= 2
        return shown

    def start(self, opening: str) -> Draft:
        """A turn that begins with `opening`."""
        return Draft(self.fixed(opening), (), opening)

    def force(self, draft: Draft, text: str) -> Draft:
        """`draft` with forced text at its end."""
        return draft.then(self.fixed(text), text)

    def quote(self, draft: Draft, text: str) -> Draft:
        """`draft` with text from outside at its end, special tokens in it cut in two."""
        return draft.then(self._encode(text, "", markup=False), text)

    def to_verdict(self, draft: Draft) -> Draft:
        """`draft` up to the place where Yes or No is due."""
        opened = draft.text.endswith(OUTPUT_TAG)
        return self.force(
            self.force(draft, OUTPUT.removeprefix(OUTPUT_TAG) if opened else OUTPUT), BRACE
        )

    def closed(self, draft: Draft, right: bool) -> Draft:
        """A turn that is due to say Yes or No, with that said."""
        return self.force(self.force(draft, YES if right else NO), CLOSE)

    def _bare(self, right: bool) -> Draft:
        """A whole turn that gives the verdict and no reasons."""
        return self.closed(self.force(self.start(OUTPUT), BRACE), right)

    @property
    def forced_tokens(self) -> int:
        """The most ids from the end of an analysis, or of code, to where Yes or No is due."""
        end = max(len(self.fixed(text)) for text in (ANALYZED, VERIFIED))
        return end + len(self.fixed(OUTPUT)) + len(self.fixed(BRACE))

    def closing(self, right: bool) -> Ids:
        """What ends a turn from the verdict on: nobody samples it."""
        return self.fixed(YES if right else NO) + self.fixed(CLOSE)

    @property
    def closing_tokens(self) -> int:
        """The most ids of a verdict and of what stands after it."""
        return max(len(self.closing(right)) for right in (True, False))

    def _encode(self, content: str, what_follows: str, *, markup: bool = True) -> Ids:
        clean = content.replace("\0", "\ufffd").encode(errors="replace").decode()
        cuts = [match.end() for match in _SPECIAL.finditer(clean)]
        pieces = [clean[i:j] for i, j in zip([0, *cuts], [*cuts, len(clean)], strict=True)]
        if markup:
            pieces[0] = self.profile.markup.user_open + pieces[0]
            pieces[-1] += self.profile.markup.user_close
        pieces[-1] += what_follows
        return tuple(id for piece in pieces for id in self._tokenizer.encode(piece))
