"""Mini-tts: the whole idea in one short program, without a library and without a model.

    python examples/minitts.py

A policy writes solutions step by step and is sometimes wrong; a verifier says how sure it is of a
step and is sometimes wrong too; a strategy grows a tree of steps; a ledger sees to it that the
budget is never exceeded; a weighted vote chooses the answer. The real thing is the same with real
models, prefix caches, events, crashes and cancellation.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

NUMBERS = [17, 25, 8, 31, 9, 12]  # the problem: add them up
RIGHT = str(sum(NUMBERS))


# ------------------------------------------------------------------------------------- two models
async def policy(steps: list[str], seed: int) -> tuple[str, int]:
    """The next step, and how many tokens it took: a partial sum, wrong one time in three."""
    chance = random.Random(seed)
    await asyncio.sleep(chance.expovariate(2000))  # some steps take much longer than others
    so_far = int(steps[-1].split()[-1]) if steps else 0
    slip = chance.choice([-10, -1, 1, 10]) if chance.random() < 1 / 3 else 0
    return f"{so_far} + {NUMBERS[len(steps)]} = {so_far + NUMBERS[len(steps)] + slip}", 12


async def verifier(steps: list[str], seed: int) -> tuple[float, int]:
    """P(the last step is right), and the tokens it took: it checks, and misjudges one in ten."""
    claim, _, result = steps[-1].partition(" = ")
    right = sum(map(int, claim.split(" + "))) == int(result)
    return (0.9 if right != (random.Random(seed).random() < 0.1) else 0.1), 20


# ----------------------------------------------------------------------------------------- a tree
@dataclass(eq=False)
class Node:
    key: tuple[int, ...]  # the sample's index at each depth: the same at any timing
    steps: list[str]
    score: float = 1.0  # P(all steps are right): the least sure verdict on the way

    @property
    def finished(self) -> bool:
        return len(self.steps) == len(NUMBERS)


# --------------------------------------------------------------------------------------- a ledger
@dataclass
class Ledger:
    """spent + held <= limit, always. What does not fit waits, until it never can."""

    limit: int
    spent: int = 0
    held: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def hold(self, tokens: int) -> bool:
        async with self.changed:
            while self.spent + self.held + tokens > self.limit:
                if not self.held:
                    return False
                await self.changed.wait()
            self.held += tokens
            return True

    async def settle(self, held: int, spent: int) -> None:
        async with self.changed:
            self.held -= held
            self.spent += spent
            self.changed.notify_all()


# --------------------------------------------------------------------------------------- a search
@dataclass
class Search:
    """A strategy's hands."""

    ledger: Ledger
    seed: int
    nodes: list[Node] = field(default_factory=list)
    children: dict[tuple[int, ...], int] = field(default_factory=lambda: defaultdict(int))

    async def expand(self, node: Node, n: int) -> list[Node]:
        """`n` next steps of `node`, each judged as soon as it is there."""
        return sorted(filter(None, await asyncio.gather(*(self._child(node) for _ in range(n)))),
                      key=lambda child: child.key)  # fmt: skip

    async def _child(self, node: Node) -> Node | None:
        key = (*node.key, self.children[node.key])
        self.children[node.key] += 1
        most = 16 + 24  # of a step and its judgement together: none is left unjudged
        if not await self.ledger.hold(most):
            return None
        seed = hash((self.seed, key))  # from the path, so that timing changes nothing
        step, wrote = await policy(node.steps, seed)
        score, read = await verifier([*node.steps, step], seed + 1)
        await self.ledger.settle(most, wrote + read)
        child = Node(key, [*node.steps, step], min(node.score, score))
        self.nodes.append(child)
        return child


# ------------------------------------------------------------------------------------- strategies
async def best_of_n(search: Search, n: int = 16) -> None:
    """N independent solutions (Cobbe et al. 2021)."""

    async def solution() -> None:
        level = [Node((), [])]
        while level and not level[0].finished:
            level = await search.expand(level[0], 1)

    await asyncio.gather(*(solution() for _ in range(n)))


async def beam(search: Search, n: int = 16, width: int = 4) -> None:
    """Keep the best N/M prefixes, give each M continuations (Snell et al. 2024)."""
    level = await search.expand(Node((), []), n)
    while level := [node for node in level if not node.finished]:
        best = sorted(level, key=lambda node: node.score, reverse=True)[: n // width]
        levels = await asyncio.gather(*(search.expand(node, width) for node in best))
        level = [child for children in levels for child in children]


# -------------------------------------------------------------------------------------- an answer
def vote(nodes: list[Node]) -> tuple[str | None, float]:
    """The answer with the most weight behind it, and its share of all weight."""
    weights: dict[str, float] = defaultdict(float)
    for node in nodes:
        if node.finished:
            weights[node.steps[-1].split()[-1]] += node.score
    if not weights:
        return None, 0.0
    answer = max(weights, key=weights.__getitem__)
    return answer, weights[answer] / sum(weights.values())


async def solve(
    strategy: Callable[[Search], Awaitable[None]], tokens: int, seed: int = 0
) -> tuple[str | None, float, int]:
    """Answer, its share of the vote, and the tokens that were spent."""
    search = Search(Ledger(tokens), seed)
    await strategy(search)
    return *vote(search.nodes), search.ledger.spent


if __name__ == "__main__":
    for strategy in (best_of_n, beam):
        for tokens in (2000, 2500, 3000):
            solved = [asyncio.run(solve(strategy, tokens, seed)) for seed in range(40)]
            right = sum(answer == RIGHT for answer, _, _ in solved) / len(solved)
            spent = max(spent for _, _, spent in solved)
            print(f"{strategy.__name__:10} at most {spent} of {tokens} tokens: {right:.0%} right")
