"""Minutes: what a conversation has on record of the steps before the one that is judged now.

Each earlier step is a user turn, and the critique that was chosen for it is the assistant's. A step
of which no critique is left (judged by another verifier, or abstained) is shown with the verdict
alone: what its score says, and Yes if there is no score, since the path went on from it. An empty
step (after a trailing delimiter) is not shown and takes no paragraph number.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tts.verifier import Case, Judgement, Step
from tts_verifiers.genprm.ballot import Outvoted, heir, is_right
from tts_verifiers.genprm.notation import Ids, Notation


@dataclass(frozen=True, slots=True)
class Thread:
    """One chain's conversation so far."""

    ids: Ids
    """Up to and including the last assistant's turn."""
    critiques: tuple[str, ...] = ()
    """What the assistant said, for the code in it."""
    computed: int = field(default=0, compare=False)
    """How many of `ids` the engine has computed: all up to the last verdict, where that was given
    in this very conversation."""


class Minutes:
    """The conversations about one path: one for each chain, one without reasoning."""

    def __init__(self, notation: Notation, case: Case, chains: int, outvoted: Outvoted) -> None:
        """The steps judged before are put on record."""
        profile = notation.profile
        self._notation = notation
        self._problem = case.problem.prompt
        self._outvoted = outvoted
        self.threads = [Thread(notation.begin(profile.system))] * chains
        self.direct = Thread(notation.begin(profile.system_direct))
        self.number = 1
        """Of the next paragraph."""
        for step, judgement in zip(case.steps, case.judged, strict=False):
            self.record(step, judgement)

    def content(self, step: Step) -> str:
        """The user's words about the next paragraph."""
        return self._notation.content(self._problem, step.text.strip(), self.number)

    def fits(self, step: Step) -> bool:
        """Whether the next paragraph is short enough to be read whole."""
        return self._notation.fits(self._problem, step.text.strip(), self.number)

    def limit(self) -> int:
        """The most tokens of the next paragraph's user turn."""
        return self._notation.limit(self._problem, self.number)

    def record(self, step: Step, judgement: Judgement | None) -> None:
        """Put a step and what was said of it on record."""
        text = step.text.strip()
        if not text:
            return
        shown = self._notation.shortened(self._problem, text, self.number)
        content = self._notation.content(self._problem, shown, self.number)
        score = None if judgement is None else judgement.score
        bare = {right: self._notation.bare(right).turn for right in (True, False)}
        whole = bare[score is None or is_right(score)]
        # Another verifier's verdict comes without votes: nobody was asked in this conversation.
        asked = judgement is not None and judgement.votes
        self.direct = self._after(self.direct, content, whole, score if asked else None)
        before = list(self.threads)
        for chain, thread in enumerate(before):
            vote = heir(judgement, chain, self._outvoted)
            if judgement is None or vote is None:
                self.threads[chain] = self._after(thread, content, whole, None)
                continue
            voter = before[judgement.votes.index(vote) % len(before)]
            here = voter.ids == thread.ids and vote.token_ids not in bare.values()
            heard = vote.score if here else None
            told = self._after(thread, content, vote.token_ids, heard)
            self.threads[chain] = replace(told, critiques=(*thread.critiques, vote.critique))
        self.number += 1

    def _after(self, thread: Thread, content: str, reply: Ids, heard: float | None) -> Thread:
        """`thread` with one exchange more; `heard` is the score, if it was given in `thread`."""
        ids = thread.ids + self._notation.past(content, reply)
        computed = thread.computed
        # Without a header between the turns they may be spelt together, and so in other ids.
        if heard is not None and self._notation.profile.header:
            unread = self._notation.closing(is_right(heard))
            end = self._notation.fixed(self._notation.profile.markup.assistant_close)
            computed = len(ids) - len(end) - len(unread)
        return replace(thread, ids=ids, computed=computed)
