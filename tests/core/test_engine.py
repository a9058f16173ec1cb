"""The engine: many searches side by side, budgets shared, failures told, nothing left behind."""

import anyio
import anyio.abc
import pytest
from anyio.abc import SocketAttribute

from tts import Budget, Engine, LanguagePolicy, Problem, StopReason, solve_sync
from tts.backends.fake import FakeBackend
from tts.budget.purse import Purse
from tts.errors import BackendError, ConfigError, Overlong, Unavailable
from tts.events import Added, Event, Held, Started, Stopped
from tts.run import Pool
from tts.strategy import Search
from tts_strategies.beam import Beam
from tts_strategies.best_of_n import BestOfN
from tts_strategies.dvts import DVTS
from tts_verifiers.likelihood import Likelihood

pytestmark = pytest.mark.anyio


def policy(**knobs: object) -> LanguagePolicy:
    return LanguagePolicy(FakeBackend(**knobs))  # type: ignore[arg-type]


def problems(n: int) -> list[Problem]:
    return [Problem(f"p{i}", f"Question {i}?") for i in range(n)]


async def test_solves_with_names_and_with_values() -> None:
    async with Engine(policy(), "likelihood") as engine:
        by_name = await engine.solve("What is next?", "beam")
        by_value = await engine.solve("What is next?", Beam())
    assert by_name.answer == by_value.answer
    assert by_name.stop_reason is StopReason.DONE


async def test_a_coroutine_function_is_a_policy() -> None:
    async def guess(prompt: str, seed: int) -> str:
        return f"\\boxed{{{seed % 2}}}"

    async with Engine(guess) as engine:
        result = await engine.solve("Heads or tails?", BestOfN(n=9))
    assert result.answer in {"0", "1"}
    assert len(result.candidates) == 9


async def test_a_strategy_that_needs_verdicts_says_so() -> None:
    async with Engine(policy()) as engine:
        with pytest.raises(ConfigError, match="Beam decides by verdicts"):
            await engine.solve("What is next?", Beam())


@pytest.mark.parametrize("prompt", ["", "  \n"])
async def test_an_empty_problem_is_refused(prompt: str) -> None:
    async with Engine(policy()) as engine:
        with pytest.raises(ConfigError, match="empty"):
            await engine.solve(prompt)


async def test_an_overlong_problem_is_refused_with_both_numbers() -> None:
    async with Engine(policy(context_tokens=100)) as engine:
        with pytest.raises(Overlong, match=r"takes \d+ tokens; fake has room for 100"):
            await engine.solve("x" * 500)


async def test_results_come_back_in_the_order_of_the_problems() -> None:
    slow_first = policy(delay=lambda request, seed: 0.001 * (seed % 5))
    seen: list[str] = []
    async with Engine(slow_first) as engine:
        results = await engine.solve_all(
            problems(30), BestOfN(n=2), on_result=lambda r: seen.append(r.problem.id), at_once=10
        )
    assert [result.problem.id for result in results] == [f"p{i}" for i in range(30)]
    assert sorted(seen) == sorted(result.problem.id for result in results)


async def test_problems_do_not_change_one_another() -> None:
    async with Engine(policy(), Likelihood()) as engine:
        together = await engine.solve_all(problems(6), DVTS(n=4, width=2))
        alone = [await engine.solve(each, DVTS(n=4, width=2)) for each in problems(6)]
    assert [each.answer for each in together] == [each.answer for each in alone]
    assert len({each.answer for each in alone}) > 1


async def test_a_budget_for_all_together_is_kept() -> None:
    async with Engine(policy()) as engine:
        results = await engine.solve_all(problems(20), BestOfN(n=4), together=Budget(tokens=3_000))
    spent = sum(result.spend.total.tokens for result in results)
    assert 1_500 < spent <= 3_000
    assert StopReason.BUDGET in {result.stop_reason for result in results}


async def test_a_deadline_for_all_together_ends_all() -> None:
    async with Engine(policy(delay=lambda request, seed: 30.0)) as engine:
        results = await engine.solve_all(problems(5), BestOfN(n=4), together=Budget(seconds=0.05))
    assert {result.stop_reason for result in results} == {StopReason.DEADLINE}


async def test_a_search_that_begins_after_the_deadline_ends_at_once() -> None:
    late = Pool(Purse(Budget().amount), deadline=anyio.current_time() - 1)
    async with Engine(policy(delay=lambda request, seed: 5.0)) as engine:
        result = await engine.start("What is next?", BestOfN(n=4), pool=late)()
    assert result.stop_reason is StopReason.DEADLINE
    assert len(result.tree) == 0


async def test_two_problems_with_one_id_are_refused() -> None:
    async with Engine(policy()) as engine:
        with pytest.raises(ConfigError, match="same id"):
            await engine.solve_all([*problems(2), *problems(1)])


async def test_bare_texts_are_problems_of_their_own() -> None:
    async with Engine(policy()) as engine:
        one, other = await engine.solve_all(["What is next?"] * 2, BestOfN(n=4))
    assert (one.problem.id, other.problem.id) == ("problem-0", "problem-1")
    assert [each.text for each in one.candidates] != [each.text for each in other.candidates]


async def test_what_is_no_budget_is_refused() -> None:
    async with Engine(policy()) as engine:
        with pytest.raises(ConfigError, match=r"budget=8000 is not a Budget, such as Budget\("):
            await engine.solve("What is next?", BestOfN(n=4), 8000)  # type: ignore[arg-type]


async def test_events_are_streamed_while_the_search_goes_on() -> None:
    async with Engine(policy(delay=lambda request, seed: 0.001)) as engine:
        run = engine.start("What is next?", BestOfN(n=8))
        seen: list[Event] = []

        async def watch() -> None:
            async for event in run.events():
                seen.append(event)
                if sum(isinstance(event, Added) for event in seen) >= 3:
                    run.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            result = await run()
    assert result.stop_reason is StopReason.CANCELLED
    assert seen == list(result.events)
    assert isinstance(seen[0], Started)
    assert isinstance(seen[-1], Stopped)


async def test_cancelling_the_caller_reaches_the_engine() -> None:
    backend = FakeBackend(delay=lambda request, seed: 60.0)
    async with Engine(LanguagePolicy(backend)) as engine:
        with anyio.move_on_after(0.02):
            await engine.solve("What is next?", BestOfN(n=8))
        assert backend.in_flight == 0


@pytest.mark.parametrize("many", [False, True])
async def test_a_caller_that_is_cancelled_raises_just_that(many: bool) -> None:
    backend = FakeBackend(delay=lambda request, seed: 60.0)
    problems = [Problem("a", "What is next?"), Problem("b", "And then?")]
    raised: list[BaseException] = []

    async def ask() -> None:
        try:
            if many:
                await engine.solve_all(problems, BestOfN(n=8))
            else:
                await engine.solve(problems[0], BestOfN(n=8))
        except BaseException as error:
            raised.append(error)
            raise

    async with Engine(LanguagePolicy(backend)) as engine:
        with anyio.move_on_after(0.02):
            await ask()
    assert [type(each) for each in raised] == [anyio.get_cancelled_exc_class()]


async def test_a_dead_engine_without_a_candidate_is_an_error() -> None:
    async with Engine(policy(fault=lambda request: Unavailable("gone"))) as engine:
        with pytest.raises(BackendError, match="gone"):
            await engine.solve("What is next?", BestOfN(n=8))


async def test_an_engine_that_dies_late_leaves_what_was_found() -> None:
    served = 0

    def die_late(request: object) -> Exception | None:
        nonlocal served
        served += 1
        return Unavailable("gone") if served > 5 else None

    delay = lambda request, seed: 0.002 * (seed % 7)  # noqa: E731
    async with Engine(policy(fault=die_late, delay=delay)) as engine:
        result = await engine.solve("What is next?", BestOfN(n=16))
    assert result.stop_reason is StopReason.FAILED
    assert set(result.errors) == {"gone"}  # two may die in the same turn of the loop
    assert result.answer is not None


async def test_a_bug_in_a_plug_in_is_not_swallowed() -> None:
    def broken(request: object) -> Exception | None:
        return ZeroDivisionError("bug")

    async with Engine(policy(fault=broken)) as engine:
        with pytest.raises(ExceptionGroup) as caught:
            await engine.solve("What is next?", BestOfN(n=2))
    assert caught.group_contains(ZeroDivisionError)


async def test_an_engine_opens_while_the_loop_goes_on_and_can_be_cancelled_meanwhile() -> None:
    async def say_nothing(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            asked.set()
            await anyio.sleep_forever()

    asked = anyio.Event()
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0) as server,
        anyio.create_task_group() as group,
    ):
        group.start_soon(server.serve, say_nothing)
        port = server.extra(SocketAttribute.local_port)
        with anyio.CancelScope() as opening:

            async def cancel() -> None:
                await asked.wait()  # in the same loop
                opening.cancel()

            group.start_soon(cancel)
            async with Engine.open(f"vllm:http://127.0.0.1:{port},patience=0"):
                pytest.fail("opened without a server")
        assert opening.cancelled_caught
        group.cancel_scope.cancel()


async def test_an_engine_that_was_opened_is_the_same_as_one_that_was_made() -> None:
    async with Engine(policy(), "likelihood", seed=3) as made:
        async with Engine.open(policy(), "likelihood", seed=3) as opened:
            pair = [await each.solve("What is next?", BestOfN()) for each in (made, opened)]
    assert pair[0].answer == pair[1].answer
    with pytest.raises(ConfigError, match="speculate=-1"):
        async with Engine.open(policy(), speculate=-1):
            pytest.fail("opened")


async def test_solve_sync_works_inside_a_running_loop() -> None:
    result = solve_sync("What is next?", BestOfN(n=4), policy=policy())
    assert result.answer is not None


async def test_a_spent_budget_still_finishes_the_best_that_was_begun() -> None:
    async with Engine(policy(), Likelihood()) as engine:
        result = await engine.solve("What is next?", Beam(n=8, width=2), Budget(tokens=260))
    assert result.stop_reason is StopReason.BUDGET
    assert result.answer is not None
    assert result.spend.total.tokens <= 260


async def test_the_graph_has_every_node() -> None:
    async with Engine(policy(), Likelihood()) as engine:
        result = await engine.solve("What is next?", Beam(n=4, width=2))
    graph = result.graph
    assert graph.number_of_nodes() == len(result.tree) + 1
    assert graph.number_of_edges() == len(result.tree)
    assert all("score" in graph.nodes[name] for name in graph if name)


async def test_cancelling_when_it_is_over_changes_nothing() -> None:
    async with Engine(policy()) as engine:
        run = engine.start(
            "What is next?",
            BestOfN(n=2),
            on_event=lambda event: run.cancel() if isinstance(event, Stopped) else None,
        )
        result = await run()
    assert result.stop_reason is StopReason.DONE
    assert result.events[-1] == Stopped(StopReason.DONE)


class Lingering:
    """Takes a while to end when its budget is used up."""

    needs_verifier = False

    async def run(self, search: Search) -> None:
        (step,) = await search.expand(search.root)
        try:
            await search.expand(step)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.3)


async def test_cancelling_while_a_spent_budget_ends_it_is_a_cancellation() -> None:
    async with Engine(policy()) as engine:
        run = engine.start("What is next?", Lingering(), Budget(samples=1))

        async def cancel() -> None:
            await anyio.sleep(0.15)
            run.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(cancel)
            result = await run()
    assert result.stop_reason is StopReason.CANCELLED


async def test_a_listener_that_fails_leaves_nothing_held_of_what_is_shared() -> None:
    pool = Pool(Purse(Budget(tokens=700).amount))

    def fail(event: Event) -> None:
        if isinstance(event, Held):
            raise KeyError("it fails")

    async with Engine(policy()) as engine:
        with pytest.raises((KeyError, ExceptionGroup)):
            await engine.start("a?", BestOfN(n=1), pool=pool, on_event=fail)()
        with anyio.fail_after(5):
            result = await engine.start("b?", BestOfN(n=40), pool=pool)()
    assert result.candidates


@pytest.mark.parametrize("parts", [1, 4])
async def test_without_anything_to_give_out_parts_leave_at_once_alone(parts: int) -> None:
    most = working = 0

    async def write(prompt: str, seed: int) -> str:
        nonlocal most, working
        working += 1
        most = max(most, working)
        await anyio.sleep(0.01)
        working -= 1
        return "\\boxed{1}"

    async with Engine(write) as engine:
        together = Budget(seconds=60)
        await engine.solve_all(
            problems(20), BestOfN(n=1), together=together, parts=parts, at_once=3
        )
    assert most == 3
