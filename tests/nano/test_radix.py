"""The prefix cache's tree: it finds the longest prefix and never gives away what is in use."""

from collections.abc import Sequence

import hypothesis.strategies as st
from hypothesis import given

from tts.backends.decoder.radix import Node, RadixTree, common_tokens, key_of

BLOCK = 4
TOKENS = st.lists(st.integers(0, 2) | st.integers(250, 260), max_size=18)


def cached_prefix(tokens: Sequence[int], known: list[list[int]]) -> int:
    return max((common_tokens(key_of(tokens), key_of(each)) for each in known), default=0)


@given(st.lists(TOKENS, max_size=12), TOKENS)
def test_a_match_is_the_longest_cached_prefix(known: list[list[int]], asked: list[int]) -> None:
    tree = RadixTree(1000, BLOCK)
    for tokens in known:
        assert tree.insert(key_of(tokens)).tokens == len(tokens)
        tree.check(1000)
    match = tree.match(key_of(asked))
    assert match.tokens == cached_prefix(asked, known)
    assert len(match.path) == match.tokens // BLOCK
    assert (match.partial is None) == (match.tokens % BLOCK == 0)
    path = b"".join(node.key for node in match.path)
    assert key_of(asked).startswith(path)


@given(st.lists(TOKENS, max_size=12))
def test_what_is_written_is_all_that_is_new(known: list[list[int]]) -> None:
    tree = RadixTree(1000, BLOCK)
    content: dict[int, list[int]] = {}
    for tokens in known:
        insertion = tree.insert(key_of(tokens))
        for number in insertion.written:
            content[insertion.path[number].place] = tokens[number * BLOCK :][:BLOCK]
        for number, node in enumerate(insertion.path):
            own = tokens[number * BLOCK :][:BLOCK]
            assert content[node.place][: len(own)] == own
    assert len(content) == 1000 - tree.free


@given(
    st.integers(1, 6),
    st.lists(st.tuples(TOKENS, st.sampled_from(["insert", "hold", "release"])), max_size=40),
)
def test_eviction_spares_what_is_held_and_keeps_to_the_limit(
    places: int, actions: list[tuple[list[int], str]]
) -> None:
    tree = RadixTree(places, BLOCK)
    held: list[tuple[Node, list[int]]] = []
    for tokens, action in actions:
        if action == "release" and held:
            tree.release(held.pop(0)[0], 2)
        elif action == "hold" and (path := tree.match(key_of(tokens)).path):
            tree.hold(path[-1], 2)
            held.append((path[-1], tokens[: len(path) * BLOCK]))
        else:
            assert tree.insert(key_of(tokens)).tokens <= len(tokens)
        tree.check(places)
        for node, prefix in held:
            assert node in tree.match(key_of(prefix)).path
    for node, _ in held:
        tree.release(node, 2)
    assert tree.users == 0
    # Nothing is in use: whatever comes finds room, as far as there are places at all.
    fresh = [999] * (places * BLOCK + 3)
    assert tree.insert(key_of(fresh)).tokens == places * BLOCK
    tree.check(places)


def test_the_block_used_longest_ago_goes_first() -> None:
    tree = RadixTree(3, BLOCK)
    for first in (1, 2, 3):
        tree.insert(key_of([first] * BLOCK))
    tree.match(key_of([1] * BLOCK))
    tree.insert(key_of([4] * BLOCK))
    assert [tree.match(key_of([n] * BLOCK)).tokens for n in (1, 2, 3, 4)] == [4, 0, 4, 4]


def test_children_go_before_their_parents() -> None:
    tree = RadixTree(3, BLOCK)
    tree.insert(key_of(range(12)))
    tree.insert(key_of([9] * BLOCK))
    assert tree.match(key_of(range(12))).tokens == 8


def test_a_leaf_goes_on_in_its_place() -> None:
    tree = RadixTree(2, BLOCK)
    tree.insert(key_of([1, 2]))
    assert tree.insert(key_of([1, 2, 3])).written == (0,)
    assert tree.free == 1
    assert tree.insert(key_of([1, 2, 9])).written == (0,)
    assert tree.free == 0
