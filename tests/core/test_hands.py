"""A strategy's hands: what it can ask of a search besides sampling in the policy's own way."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import anyio
import pytest

from tts import Engine, LanguagePolicy
from tts.answers import Roll, Verdict
from tts.backends.base import Dialect
from tts.backends.fake import FakeBackend
from tts.budget.budget import Budget
from tts.errors import ConfigError
from tts.events import Added, Held, Judged, StopReason, replay
from tts.function import FunctionPolicy
from tts.log import decode, encode
from tts.search import SIDE_BY_SIDE
from tts.seeds import node_seed
from tts.strategy import Search, Signal
from tts.testing import Bench
from tts.testing.bench import Opinions, shape
from tts.types import PLAIN, POLICY, VERIFIER, Judgement, Manner, Problem, Revising, Vote
from tts.verifier import Case, Meter


@dataclass(frozen=True)
class Does:
    """A strategy out of a function."""

    what: Callable[[Search], Awaitable[None]]
    needs_verifier = False

    async def run(self, search: Search) -> None:
        await self.what(search)


def script(*solutions: str) -> Callable[[str, int], str]:
    """One whole solution after the other."""
    given = iter(solutions)
    return lambda text, seed: next(given)


GREEDY = Manner(temperature=0)


# ------------------------------------------------------------------------------- sampling unjudged
def test_what_is_not_judged_holds_nothing_for_the_verifier() -> None:
    async def explore(search: Search) -> None:
        await search.expand(search.root, 3, judge=False)

    result = Bench(script=lambda text, seed: "\\boxed{1}").solve(Does(explore))
    held = [event for event in result.events if isinstance(event, Held)]
    assert [set(event.bounds) for event in held] == [{POLICY}] * 3
    assert not any(isinstance(event, Judged) for event in result.events)
    assert result.spend.verifier.calls == 0


def test_flops_count_the_tokens_of_a_prompt_once_even_for_an_engine_without_a_cache() -> None:
    async def explore(search: Search) -> None:
        first, _ = await search.expand(search.root, 2)
        await search.expand(first, 3)

    result = Bench(script=lambda text, seed: "a\n\nb\n\n\\boxed{1}").solve(Does(explore))
    sampled = [node for node in result.tree if node.step and node.step.cost.calls]
    for node in sampled:
        assert node.step is not None
        cost = node.step.cost
        read_again = 1 if node.depth > 1 else cost.prompt_tokens  # a root's prompt; a last token
        assert cost.new_tokens == read_again + cost.output_tokens
        assert cost.computed_tokens == cost.prompt_tokens + cost.output_tokens
    assert result.spend.policy.new_tokens == sum(
        node.step.cost.new_tokens for node in sampled if node.step
    )


def test_a_prefix_that_was_asked_for_differently_is_new_to_the_conversation() -> None:
    async def explore(search: Search) -> None:
        (told,) = await search.expand(search.root, manner=Manner(instruction="Be brief."))
        await search.expand(told)
        await search.expand(told, manner=Manner(instruction="Be brief."))

    dialect = Dialect(system="You solve problems.")
    result = Bench(dialect=dialect, script=lambda text, seed: "a\n\n").solve(Does(explore))
    plain, alike = (result.tree[0, index].step for index in (0, 1))
    assert plain is not None
    assert alike is not None
    assert plain.cost.recomputed_tokens == 0
    assert alike.cost.recomputed_tokens == alike.cost.prompt_tokens - 1


def test_who_asks_whether_something_fits_is_not_ended_by_it() -> None:
    left: list[bool] = []

    async def explore(search: Search) -> None:
        end = await search.complete(search.root, judge=False)
        left.append(search.can_judge(end))
        price = longest / 8 * 500 * 2  # FLOPs of a verdict, of which the bound is twice as many
        left.append(search.can_judge(end, after=price))
        left.append(search.can_judge(end, after=4 * price))
        left.append(search.can_complete(search.root))

    longest = FakeBackend().model.dialect.answer_tokens
    bench = Bench(
        script=lambda text, seed: "a" * (longest - 20) + "\\boxed{1}",
        verifier=Opinions(tokens=longest // 8),
    )
    result = bench.solve(Does(explore), Budget(tokens=1.5 * longest))
    assert left == [True, True, False, False]
    assert result.stop_reason is StopReason.DONE


def test_what_is_left_at_last_goes_to_one_more_answer() -> None:
    async def explore(search: Search) -> None:
        await search.spread(lambda: search.complete(search.root), 9)

    longest = FakeBackend().model.dialect.answer_tokens
    bench = Bench(script=lambda text, seed: "a" * 90 + "\\boxed{1}", verifier=None)
    result = bench.solve(Does(explore), Budget(tokens=1.2 * longest))
    # No second worst case fits; of answers as long as the first, four do, and a fifth would not.
    assert len(result.candidates) == 1.2 * longest // 100
    assert all(each.answer == "1" for each in result.candidates)
    assert result.stop_reason is StopReason.BUDGET


def test_who_gets_what_is_left_is_cut_off_where_that_ends() -> None:
    async def explore(search: Search) -> None:
        await search.complete(search.root)
        await search.complete(search.root)

    bench = Bench(script=script("a" * 90 + "\\boxed{1}", "b" * 900), verifier=None)
    result = bench.solve(Does(explore), Budget(tokens=300))
    first, cut = result.candidates
    assert (first.answer, cut.answer) == ("1", None)
    assert result.spend.total.tokens == 300
    assert cut.text == "b" * 200


def test_the_rest_of_an_answer_fits_where_a_whole_one_does_not() -> None:
    left: list[bool] = []

    async def explore(search: Search) -> None:
        end = await search.complete(search.root)
        middle = end.path()[4]
        for _ in range(3):  # answers as long as the first, half of each new
            await search.complete(middle)
        left.extend(search.can_complete(node) for node in (search.root, middle))

    def write(text: str, seed: int) -> str:
        return "ten of it\n\n" * (9 - text.count("\n\n")) + "\\boxed{1}"

    budget = Budget(tokens=3.2 * len(write("", 0)))
    result = Bench(script=write, verifier=None).solve(Does(explore), budget)
    assert left == [False, True]
    assert result.stop_reason is StopReason.DONE


def test_a_path_is_judged_when_it_is_asked_for_and_each_step_once() -> None:
    async def explore(search: Search) -> None:
        leaf = await search.complete(search.root, judge=False)
        assert leaf.judgement is None
        middle = leaf.path()[1]
        await search.spread(lambda: search.judge(middle), 5)
        assert await search.judge(leaf) is leaf
        await search.judge(leaf)

    result = Bench(seed=1).solve(Does(explore))
    asked = Counter(event.key for event in result.events if isinstance(event, Judged))
    assert asked == dict.fromkeys([node.key for node in result.tree], 1)
    assert len(asked) > 2


def test_a_judged_step_under_an_unjudged_one_has_both_judged_once() -> None:
    async def explore(search: Search) -> None:
        (first,) = await search.expand(search.root, judge=False)
        await search.expand(first, 4)

    result = Bench(script=lambda text, seed: "a\n\nb\n\n\\boxed{1}").solve(Does(explore))
    asked = Counter(event.key for event in result.events if isinstance(event, Judged))
    assert asked == dict.fromkeys([(0,), (0, 0), (0, 1), (0, 2), (0, 3)], 1)
    for event in result.events:
        if isinstance(event, Held) and POLICY in event.bounds and VERIFIER in event.bounds:
            assert event.bounds[VERIFIER].calls == 1  # the step alone: the one before is judged


def test_a_step_whose_judgement_is_on_its_way_is_not_judged_twice() -> None:
    async def explore(search: Search) -> None:
        places = iter(["expand", "judge"])

        async def task() -> None:
            if next(places) == "expand":
                await search.expand(search.root)
                return
            await anyio.sleep(0.5)  # the step is there, and the verifier takes a second
            assert search.root.children[0].judgement is None
            await search.judge(search.root.children[0])
            assert search.root.children[0].judgement is not None

        await search.spread(task, 2)

    result = Bench(verifier=Opinions(seconds=1.0), delay=None).solve(Does(explore))
    asked = Counter(event.key for event in result.events if isinstance(event, Judged))
    assert asked[0,] == 1


# ------------------------------------------------------------------------------------------ manner
def test_the_plain_manner_keeps_the_seed_of_the_path_and_every_other_has_its_own() -> None:
    manners = [PLAIN, GREEDY, Manner(instruction="x"), Manner(instruction="x", draft="y")]
    assert len({node_seed(0, "p", (1, 2), manner) for manner in manners}) == len(manners)
    assert node_seed(0, "p", (1, 2), PLAIN) == node_seed(0, "p", (1, 2))


def test_a_manner_reaches_the_engine_and_stands_in_the_tree_and_in_the_log() -> None:
    seen: list[tuple[float, str]] = []
    how = Manner(temperature=0.25, instruction="One thought only.")

    def watch(request, seed):  # type: ignore[no-untyped-def]
        seen.append((request.sampling.temperature, "".join(map(chr, request.prompt))))
        return 0.0

    async def explore(search: Search) -> None:
        (first,) = await search.expand(search.root, manner=how)
        await search.complete(first, manner=GREEDY)

    result = Bench(script=lambda text, seed: "a\n\n\\boxed{1}", delay=watch).solve(Does(explore))
    (step_temperature, step_prompt), (rest_temperature, rest_prompt) = seen
    assert (step_temperature, rest_temperature) == (0.25, 0)
    assert step_prompt.endswith("What is next?\n\nOne thought only.\n-> ")
    assert "One thought" not in rest_prompt
    assert [node.manner for node in result.tree] == [how, GREEDY, GREEDY]
    written = [decode(encode(event)) for event in result.events]
    assert written == list(result.events)
    assert [node.manner for node in replay(written)] == [how, GREEDY, GREEDY]


def test_an_older_log_without_manners_is_read_as_plain() -> None:
    line = encode(Added((0,), Bench().solve(Does(_once)).tree[0,].step))  # type: ignore[arg-type]
    del line["manner"]
    assert decode(line).manner == PLAIN  # type: ignore[union-attr]


async def _once(search: Search) -> None:
    await search.expand(search.root)


@pytest.mark.parametrize(
    "values", [{"temperature": -1}, {"temperature": math.inf}, {"draft": "so"}], ids=str
)
def test_a_manner_that_makes_no_sense_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Manner(**values)  # type: ignore[arg-type]


@pytest.mark.anyio
@pytest.mark.parametrize("manner", [GREEDY, Manner(instruction="Think.")], ids=str)
async def test_a_plain_function_says_that_it_has_no_manners(manner: Manner) -> None:
    async def guess(prompt: str, seed: int) -> str:
        return "\\boxed{1}"

    policy = FunctionPolicy(guess)
    with pytest.raises(ConfigError, match=r"guess is a plain function .* takes no temperature"):
        await policy.extend(
            Problem("p", "?"), (), max_tokens=9, seed=0, meter=Meter(), manner=manner
        )
    assert not policy.model.dialect.takes_instructions


def test_what_is_scratched_is_a_candidate_only_if_there_is_no_other() -> None:
    async def scratch(search: Search) -> None:
        await search.complete(search.root, manner=Manner(scratch=True))

    async def both(search: Search) -> None:
        await scratch(search)
        await search.complete(search.root)

    write = script("\\boxed{1}", "\\boxed{2}")
    assert [each.answer for each in Bench(script=write).solve(Does(both)).candidates] == ["2"]
    alone = Bench(script=script("\\boxed{1}")).solve(Does(scratch))
    assert alone.answer == "1"


# ---------------------------------------------------------------------------------------- revising
@dataclass
class Critic(Opinions):
    """Finds wrong what says so."""

    async def judge(self, case: Case, meter: Meter) -> list[Judgement | None]:
        with meter.call(self.bound(case, 0)):
            return [
                Judgement(score := 0.1 if "wrong" in step.text else 0.9, (Vote(score, "It is."),))
                for step in case.steps[len(case.judged) :]
            ]


TOLD = Dialect(system="Think.", user="{problem}", step_tokens=64, answer_tokens=400)


async def _revise(search: Search) -> None:
    first = await search.complete(search.root)
    for how in (Revising.RESUME, Revising.REWRITE, Revising.RESUME):
        revised = await search.revise(first, how)
        assert revised is not None
    assert await search.revise(revised) is None


def test_a_revision_is_a_branch_before_the_wrong_step_or_another_path() -> None:
    write = script("a\n\nwrong\n\n\\boxed{1}", "b\n\n\\boxed{2}", "c\n\n\\boxed{3}", "\\boxed{4}")
    result = Bench(script=write, verifier=Critic(), dialect=TOLD).solve(Does(_revise))
    first, resumed, rewritten, again = (node for node in result.tree if node.finished)
    assert [end.text for end in (first, resumed, rewritten, again)] == [
        "a\n\nwrong\n\n\\boxed{1}",
        "a\n\nb\n\n\\boxed{2}",
        "c\n\n\\boxed{3}",
        "a\n\n\\boxed{4}",
    ]
    assert resumed.path()[0] is again.path()[0] is first.path()[0]
    assert len({end.key[:2] for end in (first, resumed, again)}) == 3
    assert rewritten.path()[0].parent is first.path()[0].parent
    manner = rewritten.manner
    assert manner.draft == "a\n\nwrong\n\n\\boxed{1}"
    assert manner.instruction is not None
    assert manner.instruction.endswith(">wrong\n\nIt is.")


def test_what_takes_no_instructions_is_not_asked_to_rewrite() -> None:
    async def explore(search: Search) -> None:
        first = await search.complete(search.root)
        assert Revising.AUTO.settled(search.takes_instructions) is Revising.RESUME
        for revise in (search.revise, search.can_revise):
            with pytest.raises(ConfigError, match=r"'rewrite' shows .* use 'resume', or 'auto'"):
                await revise(first, Revising.REWRITE)  # type: ignore[misc]

    Bench(script=script("wrong\n\n\\boxed{1}"), verifier=Critic()).solve(Does(explore))


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["refine", "ab_mcts", "voi"])
async def test_that_is_refused_before_anything_is_spent(name: str) -> None:
    backend = FakeBackend()
    async with Engine(LanguagePolicy(backend), "likelihood") as engine:
        with pytest.raises(ConfigError, match="'rewrite' shows the policy a critique"):
            await engine.solve("What is next?", f"{name}:how=rewrite")
    assert backend.served == 0


def test_only_what_is_finished_can_be_revised() -> None:
    async def explore(search: Search) -> None:
        (node,) = await search.expand(search.root)
        with pytest.raises(ValueError, match="not finished"):
            await search.revise(node)

    Bench(script=lambda text, seed: "wrong\n\nb", verifier=Critic()).solve(Does(explore))


# ----------------------------------------------------------------------------------------- answers
def test_equal_answers_are_of_one_class_and_no_answer_is_of_none() -> None:
    classes: list[int | None] = []

    async def explore(search: Search) -> None:
        for _ in range(5):
            leaf = await search.complete(search.root)
            classes.append(await search.answer_class(leaf))

    write = script("\\boxed{7}", "\\boxed{8}", "no idea", "x" * 1000 + "\\boxed{7}", "\\boxed{7}")
    Bench(script=write).solve(Does(explore))
    assert classes == [0, 1, None, None, 0]


@pytest.mark.anyio
async def test_a_class_never_changes_though_a_later_answer_equals_two() -> None:
    class Halves:
        async def equal(self, left: str, right: str) -> Verdict:
            return Verdict.EQUAL if "1/2" in (left, right) else Verdict.UNKNOWN

    roll = Roll(Halves())
    assert [await roll.label(each) for each in ("0.5", "\\half", "1/2", "0.5", "", None)] == [
        0, 1, 0, 0, None, None,
    ]  # fmt: skip


# ----------------------------------------------------------------------------------------- waiting
def test_a_signal_wakes_all_who_wait_and_none_who_come_later() -> None:
    woken: list[int] = []

    async def explore(search: Search) -> None:
        signal = Signal()
        numbers = iter(range(3))

        async def task() -> None:
            number = next(numbers)
            if number < 2:
                await signal.wait()
                woken.append(number)
            else:
                await search.expand(search.root)
                signal.give()

        await search.spread(task, 3)

    Bench().solve(Does(explore))
    assert sorted(woken) == [0, 1]


# -------------------------------------------------------------------------------------------- time
@dataclass(frozen=True)
class Wide:
    """Grows first steps for as long as it is let, and finishes none."""

    needs_verifier = False
    log: list[str] = field(default_factory=list, compare=False, hash=False)

    async def run(self, search: Search) -> None:
        while True:
            await search.expand(search.root, 2)


def steady(request, seed):  # type: ignore[no-untyped-def]
    """A tenth of a second a token: ten a step of four tokens and an answer of forty."""
    return 0.1 * (4 if request.stop else 40)


def four(text: str, seed: int) -> str:
    return "ab\n\n" * (8 - text.count("\n\n")) + "\\boxed{1}"


def test_before_the_time_is_up_the_best_that_was_begun_is_finished() -> None:
    bench = Bench(script=four, delay=steady)
    result = bench.solve(Wide(), Budget(seconds=60))
    assert result.stop_reason is StopReason.DEADLINE
    assert result.answer == "1"
    assert result.spend.seconds <= 60
    assert result.spend.seconds > 45


def test_time_that_is_too_short_is_never_exceeded() -> None:
    for seconds in (0.1, 0.5, 1, 3, 10):
        result = Bench(script=four, delay=steady).solve(Wide(), Budget(seconds=seconds))
        assert result.spend.seconds <= seconds + 1e-6


def test_with_an_answer_no_time_is_kept_back() -> None:
    async def explore(search: Search) -> None:
        await search.complete(search.root)
        await Wide().run(search)

    result = Bench(script=four, delay=steady).solve(Does(explore), Budget(seconds=60))
    assert result.spend.seconds == pytest.approx(60, abs=0.5)
    assert len(result.candidates) == 1


def test_an_answer_that_is_being_written_is_not_begun_again() -> None:
    async def explore(search: Search) -> None:
        await search.expand(search.root)
        await search.complete(search.root)

    slow = Bench(script=four, delay=lambda request, seed: 0.4 if request.stop else 58.0)
    result = slow.solve(Does(explore), Budget(seconds=60))
    assert result.stop_reason is StopReason.DONE
    assert result.answer == "1"


# -------------------------------------------------------------------------------------- the answer
@pytest.mark.anyio
async def test_a_problems_answer_reaches_neither_strategy_nor_policy_nor_verifier() -> None:
    seen: list[Problem] = []

    @dataclass
    class Nosy(Opinions):
        async def judge(self, case: Case, meter: Meter) -> list[Judgement | None]:
            seen.append(case.problem)
            with meter.call(self.bound(case, 0)):
                return [Judgement(0.5) for _ in case.steps[len(case.judged) :]]

    async def look(search: Search) -> None:
        seen.append(search.problem)
        await search.expand(search.root)

    from tts.policy import LanguagePolicy

    async with Engine(LanguagePolicy(FakeBackend()), Nosy()) as engine:
        result = await engine.solve(Problem("p", "What is next?", "7"), Does(look))
    assert len(seen) == 2
    assert {problem.answer for problem in seen} == {None}
    assert result.problem.answer == "7"


def test_what_is_asked_for_in_other_manners_replays_exactly() -> None:
    async def explore(search: Search) -> None:
        (node,) = await search.expand(search.root, manner=GREEDY)
        await search.complete(node, manner=replace(GREEDY, scratch=True))

    result = Bench(verifier=None).solve(Does(explore))
    assert shape(replay(result.events)) == shape(result.tree)


@pytest.mark.anyio
async def test_more_may_be_asked_for_than_any_budget_pays_for() -> None:
    async def what(search: Search) -> None:
        async def task() -> None:
            begun.append(anyio.current_time())
            await search.complete(search.root)

        await search.spread(task, 10**12)

    begun: list[float] = []
    async with Engine(LanguagePolicy(FakeBackend())) as engine:
        result = await engine.solve("What is 6 times 7?", Does(what), Budget(samples=20))
    assert result.stop_reason is StopReason.BUDGET
    assert len(result.candidates) == 20
    assert len(begun) <= SIDE_BY_SIDE + 20
