"""Completing prefixes."""

import random
from dataclasses import replace
from fractions import Fraction

import anyio
import pytest

from tts.backends.fake import Characters, FakeBackend
from tts.budget.meter import Meter
from tts.policy import LanguagePolicy
from tts_nano.problems import generate, label, solution
from tts_verifiers.synthesis.progress import DEAD, Estimate, Rule, Schedule
from tts_verifiers.synthesis.rollouts import Completer, Tally, as_steps

pytestmark = pytest.mark.anyio


def completer(backend, checker, **knobs):
    return Completer(LanguagePolicy(backend), checker, **knobs)


def steps(backend, *texts):
    return as_steps(texts, backend.tokenizer, backend.model.dialect)


async def test_rates_come_out_near_the_truth(kit):
    backend, tally = kit.backend(), Tally(Meter())
    made = completer(backend, kit.checker)
    rate = await made.pass_rate(kit.problem, tally)
    assert rate.rollouts == 32
    assert rate.rate >= Fraction(9, 10)
    solution = steps(backend, "fine", "slip", "more", kit.wrong)
    found = await made.estimates(kit.problem, "s", solution, rate.rate, tally)
    assert [each.rollouts for each in found] == [32, 32, 32, 1]
    assert found[0].rate > Fraction(8, 10)
    assert Fraction(1, 10) < found[1].rate < Fraction(5, 10)
    assert found[3] == Estimate(0, 1)
    assert Rule().labels([rate.rate, *(each.rate for each in found)])[:2] == (True, False)


async def test_a_whole_solution_is_checked_not_completed(kit):
    backend, tally = kit.backend(), Tally(Meter())
    found = await completer(backend, kit.checker).estimates(
        kit.problem, "s", steps(backend, kit.right), Fraction(1, 2), tally
    )
    assert found == (Estimate(1, 1),)
    assert backend.served == tally.rollouts == 0


async def test_nothing_is_sampled_after_a_dead_prefix(kit):
    backend, tally = kit.backend(), Tally(Meter())
    found = await completer(backend, kit.checker).estimates(
        kit.problem, "s", steps(backend, "fine", "dead", "a", "b", kit.right), Fraction(1), tally
    )
    assert found[1:] == (Estimate(0, 32), DEAD, DEAD, DEAD)
    assert backend.served == tally.rollouts == 64


async def test_a_problem_that_is_never_solved_costs_no_further_rollouts(kit):
    backend, tally = FakeBackend(lambda text, seed: kit.wrong), Tally(Meter())
    made = completer(backend, kit.checker)
    rate = await made.pass_rate(kit.problem, tally)
    assert rate == Estimate(0, 128)
    assert await made.estimates(kit.problem, "s", steps(backend, "a", "b"), rate.rate, tally) == (
        DEAD,
        DEAD,
    )
    assert tally.rollouts == 128


@pytest.mark.parametrize(("share", "expected"), [(0.5, 64), (0.02, 128), (1.0, 32)])
async def test_the_harder_the_problem_the_more_rollouts(kit, share, expected):
    def script(text, seed):
        return kit.right if random.Random(seed).random() < share else kit.wrong

    tally = Tally(Meter())
    rate = await completer(FakeBackend(script), kit.checker).pass_rate(kit.problem, tally)
    assert rate.rollouts == tally.rollouts == expected


async def test_costs_are_booked_and_the_answer_stays_with_the_grader(kit):
    seen = []
    backend = kit.backend()
    policy = LanguagePolicy(backend)

    class Spy:
        model = policy.model
        bound = policy.bound

        async def complete(self, problem, *args, **kwargs):
            seen.append(problem.answer)
            return await policy.complete(problem, *args, **kwargs)

    tally = Tally(Meter())
    await Completer(Spy(), kit.checker, schedule=Schedule(0.25)).pass_rate(kit.problem, tally)
    assert set(seen) == {None}
    assert tally.meter.cost.calls == tally.meter.cost.samples == tally.rollouts == 8
    assert tally.meter.cost.output_tokens > 0


async def test_seeds_come_from_the_path_and_not_from_the_timing(kit):
    def rollouts(delay, at_once):
        async def run():
            backend = FakeBackend(kit.gamble, delay=delay)
            made = completer(backend, kit.checker, at_once=at_once, seed=5)
            return await made.estimates(
                kit.problem, "s", steps(backend, "slip", "x", kit.right), Fraction(1, 2),
                Tally(Meter()),
            )  # fmt: skip

        return run()

    first = await rollouts(None, 64)
    second = await rollouts(lambda request, seed: (seed % 7) / 10_000, 3)
    assert first == second


async def test_no_more_than_at_once_are_in_flight(kit):
    most = 0

    def delay(request, seed):
        nonlocal most
        most = max(most, backend.in_flight)
        return 0.0001

    backend = FakeBackend(kit.gamble, delay=delay)
    made = completer(backend, kit.checker, at_once=5)
    async with anyio.create_task_group() as group:
        for name in "ab":
            group.start_soon(made.pass_rate, replace(kit.problem, id=name), Tally(Meter()))
    assert most == 5


async def test_a_cut_rollout_is_no_success(kit):
    backend = FakeBackend(lambda text, seed: kit.right + "." * 500)
    rate = await completer(backend, kit.checker, schedule=Schedule(0.1)).pass_rate(
        kit.problem, Tally(Meter())
    )
    assert rate.successes == 0


async def test_a_prefix_that_fills_the_answer_is_a_dead_end(kit):
    backend, tally = kit.backend(), Tally(Meter())
    found = await completer(backend, kit.checker).estimates(
        kit.problem, "s", steps(backend, "x" * 400, kit.right), Fraction(1), tally
    )
    assert found == (Estimate(0, 32), DEAD)
    assert backend.served == 0


def test_steps_are_encoded_with_their_delimiters(kit):
    made = as_steps(["one", "two\n\n", "end"], Characters(), kit.backend().model.dialect)
    assert [step.text for step in made] == ["one\n\n", "two\n\n", "end"]
    assert all(Characters().decode(step.token_ids) == step.text for step in made)


async def test_labels_of_nano_problems_are_the_exact_ones(kit):
    """With a completer that is nearly perfect from right prefixes and lost from wrong ones."""
    agreed = 0
    for seed in range(12):
        problem = generate("reduction", 3, seed, "train")
        texts = solution(problem, random.Random(seed))
        spoilt = seed % len(texts)
        if seed % 3:
            texts[spoilt] = texts[spoilt].replace("=", "= 1", 1).replace("{", "{1")
        truth = label(problem, texts)

        def script(text, seed, problem=problem):
            prefix = [part for part in text.split("\n\n") if part]
            right = all(label(problem, prefix))
            lucky = random.Random(seed).random() < (0.97 if right else 0.02)
            return f"The answer is \\boxed{{{problem.answer if lucky else '0'}}}."

        backend = FakeBackend(script)
        made = completer(backend, kit.checker)
        posed = replace(kit.problem, id=problem.id, answer=problem.answer)
        tally = Tally(Meter())
        rate = await made.pass_rate(posed, tally)
        found = await made.estimates(posed, "s", steps(backend, *texts), rate.rate, tally)
        labels = Rule().labels([rate.rate, *(each.rate for each in found)])
        wrong = truth.index(False) if False in truth else len(truth)
        assert labels[: wrong + 1] == tuple(truth[: wrong + 1])
        agreed += 1
    assert agreed == 12
