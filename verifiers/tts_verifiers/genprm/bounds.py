"""Bounds: the most that judging can cost. Never exceeded, whatever the model writes.

Prompts are counted in full at every call, as if no prefix were cached, and turns at their longest;
what a conversation had been computed of before is counted as computed again.
The text of a step that is not written yet is counted at the longest that is judged at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tts.verifier import Cost
from tts_verifiers.genprm.effort import Effort, Mode
from tts_verifiers.genprm.notation import Notation
from tts_verifiers.genprm.profiles import BRACE, OUTPUT


@dataclass(frozen=True, slots=True)
class Lengths:
    """The most tokens of what a conversation consists of."""

    opening: int
    """The forced beginning of a reasoned turn."""
    to_verdict: int
    """A turn up to where Yes or No is due."""
    turn: int
    """A whole turn, with the markup that ends it."""
    direct: int
    """A turn without reasons up to the same place."""
    bare: int
    """A whole turn without reasons, with the markup that ends it."""
    context: int

    @classmethod
    def of(cls, notation: Notation, effort: Effort, number: int, context: int) -> Lengths:
        """For paragraph `number`."""
        opening = len(notation.fixed(effort.opening(number)))
        # Sampling stops at `tokens`, the opening included, and is always allowed one token more
        # than nothing: an opening that is longer is the longest turn.
        to_verdict = max(effort.tokens, opening) + notation.forced_tokens
        end = len(notation.fixed(notation.profile.markup.assistant_close))
        bare = max(len(notation.bare(right)) for right in (True, False)) + end
        return cls(
            opening=opening,
            to_verdict=to_verdict,
            turn=max(to_verdict + notation.closing_tokens + end, bare),
            direct=len(notation.fixed(OUTPUT)) + len(notation.fixed(BRACE)),
            bare=bare,
            context=context,
        )


@dataclass(frozen=True, slots=True)
class Prompt:
    """The most tokens before an assistant's turn."""

    tokens: int
    new: int
    """Of these, what the engine has not computed yet for this search."""

    def then(self, tokens: int) -> Prompt:
        """With `tokens` more, which are new."""
        return Prompt(self.tokens + tokens, self.new + tokens)


def step_bound(
    effort: Effort, lengths: Lengths, reasoned: Prompt, direct: Prompt, code_seconds: float
) -> Cost:
    """The most that judging one step costs.

    Args:
        effort: the knobs.
        lengths: of this paragraph's turn.
        reasoned: what stands before the assistant's turn, in the longest of the conversations.
        direct: the same in the conversation without reasoning.
        code_seconds: the most that one run takes.
    """
    total = Cost()
    if effort.mode in {Mode.DIRECT, Mode.ADAPTIVE}:
        prompt = min(direct.tokens + lengths.direct, lengths.context)
        asked = _calls(1, 1, prompt)
        total += _of_which_new(asked, direct.new + lengths.direct + 1)
    if effort.mode is Mode.DIRECT:
        return total
    votes, room = effort.votes, max(effort.tokens - lengths.opening, 0)
    # Chains may share a conversation or not; in the worst case each asks by itself.
    alone = votes if effort.asks_apart or not effort.analyzes else effort.chains
    opened = min(reasoned.tokens + lengths.opening, lengths.context)
    longest = min(reasoned.tokens + lengths.to_verdict, lengths.context)
    turns = Cost(output_tokens=votes * room)
    if effort.analyzes:
        turns += Cost(alone * opened, samples=votes, calls=alone)
    requests = 0
    if effort.mode is not Mode.COT:
        rounds = votes * effort.rounds
        requests = 2 * rounds if effort.mode is Mode.UNEXECUTED else rounds
        turns += Cost(prompt_tokens=requests * longest, samples=requests, calls=requests)
        turns += Cost(code_seconds=rounds * code_seconds if effort.runs_code else 0.0)
    verdicts = 2 * votes if effort.mode is Mode.ADAPTIVE else votes
    turns += _calls(verdicts, 1, longest)
    # A turn grows at its end, so that each of its tokens is new but once: what was sampled, what
    # was put in its mouth, a verdict forced after the analysis when the code came to nothing; and
    # at each request the last token that was drawn, which is read only then.
    written = votes * (room + 2 * (lengths.to_verdict - lengths.opening - room))
    new = alone * (reasoned.new + lengths.opening) + written + requests + 2 * verdicts
    return total + _of_which_new(turns, new)


def _of_which_new(cost: Cost, new: int) -> Cost:
    """`cost`, where no more than `new` tokens of prompts and outputs are computed first."""
    return replace(cost, recomputed_tokens=max(0, cost.computed_tokens - new))


def _calls(n: int, output_tokens: int, prompt_tokens: int) -> Cost:
    return Cost(n * prompt_tokens, 0, n * output_tokens, n, n)
