"""The search tree: append-only facts. Statistics (visits, particles, beams) live in strategies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tts.types import PLAIN, RIGHT_FROM, Finish, Judgement, Key, Manner, Step


@dataclass(eq=False, slots=True)
class Node:
    """A prefix of a solution: its last step, and where it hangs. The root has no step.

    Only the tree writes to a node; everybody else reads.
    """

    key: Key
    parent: Node | None = None
    step: Step | None = None
    judgement: Judgement | None = None
    """What the verifier said of this step; None if it has not been asked."""
    own_score: float | None = None
    """The score since this step was judged; None: it was not, or there is no verdict."""
    tokens: int = 0
    """Output tokens from the root down to and with this step."""
    manner: Manner = PLAIN
    """How this step was asked for."""
    children: Sequence[Node] = ()

    @property
    def depth(self) -> int:
        """Steps from the root."""
        return len(self.key)

    @property
    def score(self) -> float | None:
        """P(the prefix is right) in [0, 1], reduced over the path; None: no verdict on any of it.

        That of the longest prefix that was judged.
        """
        node: Node | None = self
        while node is not None and node.own_score is None:
            node = node.parent
        return None if node is None else node.own_score

    @property
    def finished(self) -> bool:
        """Whether the solution ends here, by the model's will or at a limit."""
        return self.step is not None and self.step.finish is not Finish.STEP

    @property
    def answered(self) -> bool:
        """Whether the model ended its answer here. A cut at a limit is no answer."""
        return self.step is not None and self.step.finish is Finish.EOS

    @property
    def rank(self) -> float:
        """The score, with "no verdict" below every verdict: for sorting, not for arithmetic."""
        score = self.score
        return -1.0 if score is None else score

    @property
    def first_wrong(self) -> Node | None:
        """The first of the path whose step is judged wrong; an abstention is no such verdict."""
        for node in self.path():
            verdict = None if node.judgement is None else node.judgement.score
            if verdict is not None and verdict < RIGHT_FROM:
                return node
        return None

    @property
    def doubted(self) -> Node | None:
        """The judged step of the path with the lowest score, the first of equals."""
        scored = [
            (node.judgement.score, node)
            for node in self.path()
            if node.judgement is not None and node.judgement.score is not None
        ]
        return min(scored, key=lambda pair: pair[0])[1] if scored else None

    @property
    def votes(self) -> int:
        """How many votes its score rests on, at the step that is doubted most.

        A verdict without votes is one.
        """
        if (doubted := self.doubted) is None or doubted.judgement is None:
            return 0
        return max(1, len(doubted.judgement.votes))

    @property
    def covered(self) -> float:
        """Share of the path that verdicts are about, in [0, 1].

        It goes as far as the last of them; after a step judged wrong nothing is left to say.
        """
        if self.first_wrong is not None:
            return 1.0
        judged = [
            node.depth
            for node in self.path()
            if node.judgement is not None and node.judgement.score is not None
        ]
        return judged[-1] / self.depth if judged else 0.0

    def path(self) -> list[Node]:
        """Nodes from below the root down to this one."""
        nodes: list[Node] = []
        node: Node | None = self
        while node is not None and node.step is not None:
            nodes.append(node)
            node = node.parent
        nodes.reverse()
        return nodes

    def steps(self) -> tuple[Step, ...]:
        """The path's steps, first to last."""
        return tuple(node.step for node in self.path() if node.step is not None)

    @property
    def text(self) -> str:
        """The solution so far."""
        return "".join(step.text for step in self.steps())


class Tree:
    """All nodes of one search, by key, in the order in which they were added."""

    __slots__ = ("_nodes", "root")

    def __init__(self) -> None:
        self.root = Node(())
        self._nodes: dict[Key, Node] = {(): self.root}

    def __len__(self) -> int:
        """Nodes, the root not counted."""
        return len(self._nodes) - 1

    def __iter__(self) -> Iterator[Node]:
        """Nodes, the root not included, oldest first."""
        nodes = iter(self._nodes.values())
        next(nodes)
        return nodes

    def __getitem__(self, key: Key) -> Node:
        return self._nodes[key]

    def __contains__(self, key: Key) -> bool:
        return key in self._nodes

    def add(self, key: Key, step: Step, manner: Manner = PLAIN) -> Node:
        """Hang `step` below the node `key[:-1]`, which must exist; `key` must be new."""
        if key in self._nodes:
            raise ValueError(f"node {key} exists already")
        parent = self._nodes[key[:-1]]
        tokens = parent.tokens + (len(step.token_ids) or step.cost.output_tokens)
        node = Node(key, parent, step, tokens=tokens, manner=manner)
        self._nodes[key] = node
        # Most nodes are leaves: a list for each would be a sixth of all that a search remembers.
        if isinstance(parent.children, list):
            parent.children.append(node)
        else:
            parent.children = [node]
        return node

    def answers(self) -> list[Node]:
        """Nodes at which the model ended its answer, oldest first."""
        return [node for node in self if node.answered]

    def ends(self) -> list[Node]:
        """Finished solutions, oldest first; those that were scratched if nothing else answers."""
        ends = [node for node in self if node.finished]
        own = [node for node in ends if not any(step.manner.scratch for step in node.path())]
        return own if any(node.answered for node in own) else ends
