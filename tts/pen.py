"""Pen: what the policy writes for one search, a step or the rest of an answer, at what price.

Each sample gets its seed from its key, a hold from the ledger before it is asked for, and the price
of what was new in its prompt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from tts.again import again
from tts.budget.ledger import Bounds, Hold, Ledger
from tts.errors import Overlong
from tts.journal import Journal
from tts.pace import Pace
from tts.policy import Policy
from tts.refine import complaint
from tts.seeds import node_seed
from tts.tree import Node
from tts.types import PLAIN, POLICY, Cost, Finish, Key, Manner, Problem, Revising, Step


@dataclass(frozen=True, slots=True)
class Ground:
    """What all next steps of a prefix have in common."""

    steps: tuple[Step, ...]
    max_tokens: int
    """Of a step; 0: the answer has reached its longest."""
    bounds: Bounds
    """What one of them holds."""

    @property
    def known(self) -> int:
        """Leading tokens of the prompt that were computed before."""
        return self.bounds[POLICY].recomputed_tokens


class Pen:
    """Samples from the policy. What comes of it is told by whoever asked."""

    def __init__(
        self,
        problem: Problem,
        policy: Policy,
        ledger: Ledger,
        journal: Journal,
        seed: int,
        temperature: float | None = None,
    ) -> None:
        """`temperature` stands in for that of manners that name none; None: the policy's own."""
        self.pace = Pace()
        """How fast the policy writes."""
        self._problem = problem
        self._policy = policy
        self._ledger = ledger
        self._journal = journal
        self._seed = seed
        self._temperature = temperature
        self._lengths: list[int] = []  # of answers, also of those cut off; tokens

    def own(self, manner: Manner) -> Manner:
        """`manner` with this search's own temperature where it names none."""
        if self._temperature is None or manner.temperature is not None:
            return manner
        return replace(manner, temperature=self._temperature)

    def tokens_left(self, node: Node, manner: Manner = PLAIN) -> int:
        """How many tokens an answer that begins with `node` may still take."""
        room = self._policy.model.dialect.answer_tokens - node.tokens
        prompt = self._policy.bound(self._problem, node.steps(), 0, manner).prompt_tokens
        return min(room, self._policy.model.context_tokens - prompt)

    @property
    def takes_instructions(self) -> bool:
        """Whether the policy follows what it is told beside the problem."""
        return self._policy.model.dialect.takes_instructions

    def redo(self, node: Node, how: Revising) -> tuple[Node, Manner] | None:
        """After what a revision of `node` is written, and in which manner; None: it cannot be."""
        settled = how.settled(self.takes_instructions)
        if (wrong := node.first_wrong) is None or wrong.parent is None:
            return None
        if settled is Revising.RESUME:
            return wrong.parent, PLAIN
        root, manner = node.path()[0].parent, Manner(instruction=complaint(wrong), draft=node.text)
        assert root is not None
        try:
            room = self.tokens_left(root, manner)
        except Overlong:
            return None
        return (root, manner) if room > 0 else None

    def bound(self, node: Node, max_tokens: int, manner: Manner) -> Cost:
        """The most that sampling after `node` can cost.

        Where the prefix was sampled in the same conversation and is sent back as it came, its
        tokens have been computed, but for the last, which was drawn and not read.
        """
        bound = self._policy.bound(self._problem, node.steps(), max_tokens, manner)
        same = all(
            each.step is not None and each.step.token_ids and each.manner.asks_like(manner)
            for each in node.path()
        )
        return bound.where_known(bound.prompt_tokens - 1 if same and node.depth else 0)

    def usual(self, node: Node, max_tokens: int) -> int:
        """How many tokens the rest of an answer that begins with `node` usually takes.

        The median of the answers so far, at most `max_tokens`; 1 before the first, which takes
        whatever there is.
        """
        length = median(self._lengths) if self._lengths else 0
        return max(1, min(max_tokens, math.ceil(length) - node.tokens))

    def ground(self, parent: Node, manner: Manner) -> Ground:
        """Work out once what all next steps of `parent` have in common."""
        longest = self._policy.model.dialect.step_tokens
        max_tokens = max(0, min(longest, self.tokens_left(parent, manner)))
        bounds = {POLICY: self.bound(parent, max_tokens, manner)}
        return Ground(parent.steps(), max_tokens, bounds)

    async def step(self, ground: Ground, key: Key, manner: Manner, hold: Hold) -> Step:
        """Sample one step, on `hold`."""
        with self.pace.timed() as written, hold.charge(POLICY, ground.known) as meter:
            step = await self._policy.extend(
                self._problem,
                ground.steps,
                max_tokens=ground.max_tokens,
                seed=node_seed(self._seed, self._problem.id, key, manner),
                meter=meter,
                manner=manner,
            )
            written.tokens = step.cost.output_tokens
        return _booked(step, ground.known)

    async def rest(self, node: Node, key: Key, max_tokens: int, manner: Manner) -> Sequence[Step]:
        """Sample on after `node` to the end of the answer, under a hold of its own."""
        return await again(lambda: self._rest(node, key, max_tokens, manner), self._journal.lost)

    async def _rest(self, node: Node, key: Key, max_tokens: int, manner: Manner) -> Sequence[Step]:
        bound = self.bound(node, max_tokens, manner)
        known = bound.recomputed_tokens

        def least() -> Bounds:
            usual = min(bound.output_tokens, self.usual(node, max_tokens))
            return {POLICY: replace(bound, output_tokens=usual)}

        async with self._ledger.hold({POLICY: bound}, len(key), key, least=least) as hold:
            if (held := hold.bounds[POLICY]) is not bound:
                max_tokens = held.output_tokens
            with self.pace.timed(whole=True) as written, hold.charge(POLICY, known) as meter:
                steps = await self._policy.complete(
                    self._problem,
                    node.steps(),
                    max_tokens=max_tokens,
                    seed=node_seed(self._seed, self._problem.id, key, manner),
                    meter=meter,
                    manner=manner,
                )
                written.tokens = sum(step.cost.output_tokens for step in steps)
        self._lengths.append(node.tokens + written.tokens)
        if held is not bound and steps[-1].finish is Finish.LENGTH:
            self._journal.cut_short = True
        return [_booked(steps[0], known), *steps[1:]]


def _booked(step: Step, known: int) -> Step:
    """`step` at the cost that was booked, when the first `known` tokens of its prompt were paid."""
    cost = step.cost.where_known(known)
    return step if cost is step.cost else replace(step, cost=cost)
