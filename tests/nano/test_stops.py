"""Stop strings are found wherever they end, and not before."""

import re
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from tts.backends.decoder.stops import EOS, LOOK, STOP, Stops
from tts.backends.tokenizer import FolderTokenizer


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> FolderTokenizer:
    return FolderTokenizer(tiny, 300)


@pytest.fixture(scope="module")
def stops(tokenizer: FolderTokenizer) -> Stops:
    return Stops(tokenizer.pieces, 300, (1,))


def ended_at(stops: Stops, tokens: tuple[int, ...], strings: tuple[bytes, ...]) -> int | None:
    """Tokens up to the first one that ends a sample, as the engine looks for it."""
    flags = stops.flags((), strings)
    for count in range(1, len(tokens) + 1):
        if flags[tokens[count - 1]] & LOOK and stops.found(tokens[:count], strings):
            return count
    return None


TEXT = st.text(st.sampled_from("abcxnd.\n é€😀"), max_size=30)
STOP_TEXT = st.text(st.sampled_from("abcxnd.\n é€😀"), min_size=1, max_size=5)


@given(TEXT, st.lists(STOP_TEXT, min_size=1, max_size=3))
def test_a_sample_ends_with_the_token_that_completes_a_stop(
    stops: Stops, tokenizer: FolderTokenizer, text: str, strings: list[str]
) -> None:
    tokens = tokenizer.encode(text)
    expected = next(
        (
            count
            for count in range(1, len(tokens) + 1)
            if any(stop.encode() in b"".join(tokenizer.pieces[t] for t in tokens[:count])
                   for stop in strings)
        ),
        None,
    )  # fmt: skip
    assert ended_at(stops, tokens, tuple(stop.encode() for stop in strings)) == expected


def test_a_stop_may_span_tokens_and_end_inside_one(
    stops: Stops, tokenizer: FolderTokenizer
) -> None:
    assert ended_at(stops, tokenizer.encode("so.\n\nx"), (b"\n\n",)) is not None
    spans = tokenizer.encode("a") + tokenizer.encode("bc") + tokenizer.encode("x")
    assert ended_at(stops, spans, (b"abc",)) == 2
    assert ended_at(stops, spans, (b"ab",)) == 2


def test_a_character_that_is_split_over_tokens_can_stop(
    stops: Stops, tokenizer: FolderTokenizer
) -> None:
    tokens = tokenizer.encode("a😀b")
    assert len(tokens) == 6
    assert ended_at(stops, tokens, ("😀".encode(),)) == 5


def test_flags_of_ids(stops: Stops) -> None:
    flags = stops.flags((7, 9), (b"x",))
    assert [id for id in range(300) if flags[id] & STOP] == [7, 9]
    assert [id for id in range(300) if flags[id] & EOS] == [1]


SPECIAL = re.compile(r"<\|(?:endoftext|im_start|im_end)\|>")
ANY_TEXT = st.lists(st.text() | st.sampled_from(["<|im_start|>", "<|im_end|>", "<|endof"]))


@given(ANY_TEXT.map("".join))
def test_pieces_spell_the_text_without_its_special_tokens(
    tokenizer: FolderTokenizer, text: str
) -> None:
    tokens = tokenizer.encode(text)
    spelled = SPECIAL.sub("", text)
    assert b"".join(tokenizer.pieces[token] for token in tokens) == spelled.encode()
    assert tokenizer.decode(tokens) == spelled
