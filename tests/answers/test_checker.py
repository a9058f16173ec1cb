import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import pytest

from tts.answers import AnswerChecker, Verdict
from tts.answers import workers as workers_module
from tts.answers.checker import _Hopeless
from tts.errors import ConfigError, TTSError

EQUAL, UNEQUAL, UNKNOWN = Verdict.EQUAL, Verdict.UNEQUAL, Verdict.UNKNOWN

HANGS = "10^{10^{10}}"
"""Sympy computes this in C, where neither a signal nor another thread gets a turn."""

needs_procfs = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


def is_running(pid: int) -> bool:
    """Whether the process exists and is not a zombie that somebody else has to reap."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
async def checker(anyio_backend: str) -> AsyncIterator[AnswerChecker]:
    """One worker for every test that only asks."""
    async with AnswerChecker(deadline_seconds=20.0) as checker:
        yield checker


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(60):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes
            await anyio.sleep(0.01)


async def asked(checker: AnswerChecker, left: str, right: str) -> None:
    """Ask and forget."""
    await checker.equal(left, right)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("left", "right", "verdict"),
    [
        # The table of strategies that get these wrong.
        ("[0,1]", "(0,1)", UNEQUAL),
        (r"2\pi", "6.2832", UNEQUAL),
        ("(x+1)^2", "x^2+2x+1", EQUAL),
        (r"\{1,2\}", r"\{2,1\}", EQUAL),
        (r"\text{even}", "even", EQUAL),
        (r"\frac{3}{6}", "0.5", EQUAL),
        ("(1,2)", "12", UNEQUAL),
        (r"50\%", "0.5", UNEQUAL),
        # An approximation is another answer, however close.
        (r"2\pi", "6.283185", UNEQUAL),
        (r"\sqrt{2}", "1.41421356237", UNEQUAL),
        # Small numbers are not all equal.
        (r"6.6\times10^{-34}", r"1.6\times 10^{-19}", UNEQUAL),
        (r"6.6\times10^{-34}", r"66\times 10^{-35}", EQUAL),
        (r"\sqrt{2}\cdot 10^{-30}", r"\sqrt{3}\cdot 10^{-30}", UNEQUAL),
        # Decimals inside expressions are exact.
        ("0.1+0.2", "0.3", EQUAL),
        (r"0.5\sqrt{2}", r"\frac{1}{\sqrt{2}}", EQUAL),
        ("[0.5,2]", r"[\frac{1}{2},2]", EQUAL),
        (r"\begin{pmatrix}0.5\\2\end{pmatrix}", r"\begin{pmatrix}\frac12\\2\end{pmatrix}", EQUAL),
        ("1.5, 2", r"2, \frac{3}{2}", EQUAL),
        # Asymmetric in math-verify.
        ("1<x<2", "(1,2)", EQUAL),
        ("x>5", r"(5,\infty)", EQUAL),
        ("3+4=7", "7", EQUAL),
        ("x=5", "5", EQUAL),
        ("x=1", "y=1", UNEQUAL),
        ("(1,2)", "(2,1)", UNEQUAL),
        (r"3\sqrt{2}", r"\sqrt{18}", EQUAL),
        (r"90^\circ", "90", EQUAL),
        # Not understood is not different.
        ("1/0", "2/0", UNKNOWN),
        (r"\frac{1}{\frac{1}{", "3", UNKNOWN),
        ("x-x", "y-y", EQUAL),
    ],
)
async def test_verdict_has_no_sides(
    left: str, right: str, verdict: Verdict, checker: AnswerChecker
) -> None:
    assert await checker.equal(left, right) is verdict
    assert await checker.equal(right, left) is verdict


@pytest.mark.anyio
async def test_integers_start_no_worker() -> None:
    async with AnswerChecker() as checker:
        assert await checker.equal("5", "1,000") is UNEQUAL
        assert await checker.equal("5", "5.0") is EQUAL
        assert checker.workers_started == 0
        assert checker.worker_pids == ()


@pytest.mark.anyio
async def test_without_workers_algebra_is_unknown() -> None:
    async with AnswerChecker(workers=0) as checker:
        assert await checker.equal("x+1", "1+x") is UNKNOWN
        assert await checker.equal("x+1", "x + 1") is EQUAL


@pytest.mark.anyio
async def test_hung_comparison_is_killed_and_the_next_one_works() -> None:
    async with AnswerChecker(deadline_seconds=2.0) as checker:
        assert await checker.equal("x+1", "1+x") is EQUAL
        (hung,) = checker.worker_pids
        with anyio.fail_after(10):
            assert await checker.equal(HANGS, "7") is UNKNOWN
        assert not is_running(hung)
        assert await checker.equal("x+2", "2+x") is EQUAL
        assert checker.workers_started == 2


@pytest.mark.anyio
async def test_what_only_ever_hangs_is_given_up_and_its_partners_are_not() -> None:
    async with AnswerChecker(deadline_seconds=0.2) as checker:
        assert await checker.equal(HANGS, "7") is UNKNOWN
        assert await checker.equal("7", HANGS) is UNKNOWN
        assert checker.workers_started == 1
        assert await checker.equal(HANGS, "8") is UNKNOWN
        assert await checker.equal(HANGS, "9") is UNKNOWN
        assert checker.workers_started == 3
        assert await checker.equal(HANGS, "10") is UNKNOWN
        assert checker.workers_started == 3


def test_usual_answer_survives_its_strange_partners() -> None:
    hopeless = _Hopeless()
    for strange in "abcde":
        hopeless.add_late(("7", strange + "!"))
        hopeless.add_late((r"\sqrt{2}", strange + "!"))
    assert not hopeless.is_hopeless(("7", "8"))
    assert hopeless.is_hopeless(("8", r"\sqrt{2}"))
    hopeless.add_timely(("8", r"\sqrt{2}"))
    assert not hopeless.is_hopeless(("8", r"\sqrt{2}"))


@pytest.mark.anyio
async def test_worker_killed_while_it_compares_is_replaced_and_the_pair_tried_again() -> None:
    async with AnswerChecker(deadline_seconds=30) as checker:
        await checker.equal("x+1", "1+x")
        (first,) = checker.worker_pids
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(asked, checker, HANGS, "7")
            await anyio.sleep(0.05)
            os.kill(first, signal.SIGKILL)
            await until(lambda: checker.worker_pids not in {(), (first,)})
            tasks.cancel_scope.cancel()
        assert not is_running(first)
        assert checker.workers_started == 2
        assert await checker.equal("x+2", "2+x") is EQUAL


@pytest.mark.anyio
async def test_idle_worker_that_died_costs_nobody_a_verdict() -> None:
    async with AnswerChecker() as checker:
        await checker.equal("x+1", "1+x")
        (pid,) = checker.worker_pids
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not is_running(pid))
        assert await checker.equal("x+2", "2+x") is EQUAL


@pytest.mark.anyio
async def test_worker_short_of_memory_is_replaced_and_finds_nothing_unequal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "math_verify.py").write_text(
        """
import sympy
LatexExtractionConfig = str
kept = []
def parse(text, *_, **__):
    return [sympy.Symbol(text)]
def verify(gold, target, **_):
    for expression in (gold, target):
        if "Z" in str(expression):
            b"x" * (8 << 30)
        if "Y" in str(expression):
            kept.append(b"x" * (400 << 20))
    return "E" in str(gold) and "E" in str(target)
"""
    )
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    async with AnswerChecker(memory_bytes=750 << 20) as checker:
        assert await checker.equal("X+1", "X+2") is UNEQUAL
        assert await checker.equal("X+1", "Z+2") is UNKNOWN
        assert checker.workers_started == 1
        assert await checker.equal("X+1", "Y+2") is UNKNOWN
        assert checker.worker_pids == ()
        assert await checker.equal("E+1", "E+Y") is EQUAL
        assert checker.workers_started == 2
        assert checker.worker_pids == ()


@pytest.mark.anyio
async def test_too_little_memory_to_start_is_an_error() -> None:
    async with AnswerChecker(memory_bytes=1 << 20) as checker:
        with pytest.raises(TTSError, match=r"did not start|died while it started"):
            await checker.equal("x+1", "1+x")
        assert checker.worker_pids == ()


@pytest.mark.anyio
async def test_hundred_comparisons_at_once() -> None:
    verdicts: dict[int, Verdict] = {}

    async with AnswerChecker(workers=2, deadline_seconds=30) as checker:

        async def ask(number: int) -> None:
            verdicts[number] = await checker.equal(
                f"{number}+x", f"x+{number + number % 2}" if number % 3 else str(number)
            )

        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(ask, number)
        assert checker.workers_started == 2
    for number, verdict in verdicts.items():
        assert verdict is (EQUAL if number % 3 and not number % 2 else UNEQUAL), number


@pytest.mark.anyio
async def test_identical_comparisons_share_one() -> None:
    async with AnswerChecker(workers=2, deadline_seconds=1.0) as checker:
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(asked, checker, HANGS, "7")
                tasks.start_soon(asked, checker, "7", HANGS)
        assert checker.workers_started == 1


@pytest.mark.anyio
async def test_followers_of_a_cancelled_leader_get_their_verdict() -> None:
    async with AnswerChecker() as checker:
        verdicts: list[Verdict] = []

        async def ask() -> None:
            verdicts.append(await checker.equal("x+1", "1+x"))

        async with anyio.create_task_group() as followers:
            with anyio.CancelScope() as leader:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(asked, checker, "1+x", "x+1")
                    await anyio.sleep(0.05)
                    followers.start_soon(ask)
                    followers.start_soon(ask)
                    await anyio.sleep(0.05)
                    leader.cancel()
        assert verdicts == [EQUAL, EQUAL]


@pytest.mark.anyio
@needs_procfs
async def test_storm_of_cancellations_leaves_no_process_and_a_working_checker() -> None:
    seen: set[int] = set()
    async with AnswerChecker(workers=2, deadline_seconds=30) as checker:
        for round_number in range(4):
            with anyio.move_on_after(0.3 * round_number):
                async with anyio.create_task_group() as tasks:
                    for number in range(30):
                        tasks.start_soon(asked, checker, HANGS, f"x+{number}")
                    await anyio.sleep(0.25 * round_number)
                    seen.update(checker.worker_pids)
            assert len(checker.worker_pids) <= 2
        assert await checker.equal("x+1", "1+x") is EQUAL
        seen.update(checker.worker_pids)
    assert seen
    assert not [pid for pid in seen if is_running(pid)]


@pytest.mark.anyio
@needs_procfs
async def test_closing_ends_workers_and_whoever_waits_for_them() -> None:
    failures: list[str] = []

    async def ask(checker: AnswerChecker, left: str) -> None:
        with pytest.raises(RuntimeError) as caught:
            await checker.equal(left, "7+x")
        failures.append(str(caught.value))

    async with anyio.create_task_group() as tasks:
        async with AnswerChecker(deadline_seconds=60) as checker:
            await checker.equal("x+1", "1+x")
            (pid,) = checker.worker_pids
            for left in (HANGS, "x+5", "x+6"):
                tasks.start_soon(ask, checker, left)
            await anyio.sleep(0.1)
    assert failures == ["the answer checker is closed"] * 3
    assert not is_running(pid)
    with pytest.raises(RuntimeError, match="not open"):
        await checker.equal("1", "1")


@pytest.mark.anyio
async def test_errors_of_the_body_pass_as_they_are() -> None:
    async def body() -> None:
        async with AnswerChecker() as checker:
            await checker.equal("x+1", "1+x")
            raise KeyError

    with pytest.raises(KeyError):
        await body()


def test_works_on_an_event_loop_of_another_thread() -> None:
    verdicts: list[Verdict] = []

    async def main() -> None:
        async with AnswerChecker() as checker:
            verdicts.append(await checker.equal("x+1", "1+x"))
            verdicts.append(await checker.equal("x+1", "x+2"))

    thread = threading.Thread(target=anyio.run, args=(main,))
    thread.start()
    thread.join()
    assert verdicts == [EQUAL, UNEQUAL]


@needs_procfs
def test_host_that_crashes_leaves_no_worker() -> None:
    program = f"""
import os, signal, anyio
from tts.answers import AnswerChecker

async def main():
    async with AnswerChecker(deadline_seconds=600) as checker:
        await checker.equal("x+1", "1+x")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(checker.equal, {HANGS!r}, "7")
            await anyio.sleep(0.2)
            print(*checker.worker_pids, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

anyio.run(main)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout)
    patience = time.monotonic() + 60
    while is_running(pid) and time.monotonic() < patience:
        time.sleep(0.02)
    assert not is_running(pid)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "program",
    [
        "raise SystemExit(3)",
        "print('not json')",
        "print('[]')",
        "print('x' * 100_000, end='')",
        'print(\'{"error": "no such module"}\')',
    ],
)
async def test_worker_that_cannot_start_is_an_error_for_everybody_who_waits(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "worker.py"
    path.write_text(program)
    monkeypatch.setattr(workers_module, "PROGRAM", path)
    raised: list[str] = []

    async def ask(checker: AnswerChecker) -> None:
        with pytest.raises(TTSError) as caught:
            await checker.equal("x+1", "1+x")
        raised.append(str(caught.value))

    async with AnswerChecker() as checker:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(ask, checker)
        assert checker.workers_started == 1
    assert len(raised) == 3


@pytest.mark.anyio
@pytest.mark.parametrize("reply", ["gibberish", '{"verdict": "maybe"}', '{"verdict": "equal"}'])
async def test_worker_that_replies_nonsense_gives_no_verdict(
    reply: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "worker.py"
    path.write_text(
        "import sys\nprint('{\"ready\": true}', flush=True)\n"
        f"for line in sys.stdin: print({reply!r}, flush=True)"
    )
    monkeypatch.setattr(workers_module, "PROGRAM", path)
    async with AnswerChecker() as checker:
        assert await checker.equal("x+1", "1+x") is UNKNOWN
        assert checker.workers_started == 2


@pytest.mark.parametrize(
    "arguments",
    [
        {"workers": -1},
        {"deadline_seconds": 0},
        {"deadline_seconds": math.nan},
        {"deadline_seconds": math.inf},
        {"memory_bytes": 0},
        {"cache_size": -1},
    ],
)
def test_useless_settings_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        AnswerChecker(**arguments)


@pytest.mark.anyio
async def test_smallest_cache_still_answers() -> None:
    async with AnswerChecker(cache_size=0) as checker:
        assert await checker.equal("x+1", "1+x") is EQUAL
        assert await checker.equal("x+1", "1+x") is EQUAL
