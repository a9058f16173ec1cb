"""Studies: shares of work find what one process finds, whatever depends on what."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import pytest

from tts.errors import ConfigError
from tts.study import WHOLE, Outcomes, Share, Stage, Study, Unfinished, together

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Squared:
    number: int
    third: Fraction
    share: float


def squares(numbers: Sequence[int], done: list[int]) -> Stage[int, Squared]:
    async def work(some: Sequence[int], tell: Callable[[], None]) -> list[Squared]:
        for number in some:
            done.append(number)
            tell()
        return [Squared(n * n, Fraction(n, 3), n / 7) for n in some]

    return Stage(f"squares of {len(numbers)}", numbers, Squared, work)


async def two_waves(study: Study, done: list[int]) -> list[Squared]:
    """The second wave is about what the first one found."""

    async def begin() -> int:
        return 3

    first = await study.same("begin", int, lambda: begin())
    (low,) = await study.wave([squares(range(first, first + 7), done)])
    high, few = await study.wave(
        [squares([each.number for each in low[:5]], done), squares([1], done)]
    )
    return [*low, *high, *few]


def silent(share: Share | None, outcomes: Outcomes) -> Study:
    return Study(lambda doing, part: None, share, outcomes)


async def test_shares_put_together_are_the_whole() -> None:
    alone: list[int] = []
    whole = await two_waves(silent(WHOLE, {}), alone)
    known: Outcomes = {}
    done: list[int] = []
    for rounds in range(2):
        parts = []
        for index in (1, 2, 3):
            study = silent(Share(index, 3), {stage: dict(each) for stage, each in known.items()})
            with pytest.raises(Unfinished):
                await two_waves(study, done)
            assert study.waves == rounds + 1
            parts.append((str(index), study.outcomes))
        known = together(parts)
    assert await two_waves(silent(None, known), []) == whole
    assert sorted(done) == sorted(alone), "something was done twice, or not at all"


async def test_what_is_not_known_is_not_made_up() -> None:
    with pytest.raises(Unfinished, match="'begin' is not done"):
        await two_waves(silent(None, {}), [])
    with pytest.raises(Unfinished, match="7 of 7"):
        await two_waves(silent(None, {"begin": {0: 3}}), [])


def test_shares_that_disagree_are_told() -> None:
    mine, theirs = {"begin": {0: 3}}, {"begin": {0: 4}}
    with pytest.raises(ConfigError, match="a and b disagree about 'begin'"):
        together([("a", mine), ("b", theirs)])


def test_every_item_is_in_one_share() -> None:
    for count in range(1, 6):
        shares = [Share(index, count) for index in range(1, count + 1)]
        for items in range(8):
            places = [place for share in shares for place in share.places(items)]
            assert sorted(places) == list(range(items))
            assert [n for share in shares for n in share.run(items)] == list(range(items))


@pytest.mark.parametrize("text", ["", "2", "0/2", "3/2", "1/0", "-1/2", "a/b", "1/2/3", "²/3"])
def test_what_is_no_share_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="share"):
        Share.parsed(text)


def test_a_share_is_what_it_is_written_as() -> None:
    assert str(replace(Share.parsed("2/8"))) == "2/8"
