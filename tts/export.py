"""Export: a finished tree as a networkx graph, for GraphML, Graphviz and analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tts.tree import Tree

if TYPE_CHECKING:
    import networkx


def graph(tree: Tree) -> networkx.DiGraph[str]:
    """A directed graph from the root `""` to the leaves; node ids are keys such as `"0.2.1"`.

    Attributes, all of them GraphML's own types: `depth`, `text`, `finish`, `logprob` (nats),
    `tokens` (of the step), and `score` where the prefix has one.
    """
    import networkx

    digraph: networkx.DiGraph[str] = networkx.DiGraph()
    digraph.add_node("", depth=0, text="", finish="step", logprob=0.0, tokens=0)
    for node in tree:
        step = node.step
        assert step is not None
        assert node.parent is not None
        name = _name(node.key)
        digraph.add_node(
            name,
            depth=node.depth,
            text=step.text,
            finish=step.finish.value,
            logprob=step.logprob,
            tokens=node.tokens - node.parent.tokens,
            **({} if node.score is None else {"score": node.score}),
        )
        digraph.add_edge(_name(node.parent.key), name)
    return digraph


def _name(key: tuple[int, ...]) -> str:
    return ".".join(map(str, key))
