"""What confinement costs: the pool beside a fresh interpreter, a warm worker, and bare exec().

All contenders run the same snippets in one process's lifetime, in alternating rounds. Wall times
need an idle machine: on a busy one, whoever hands work to another process waits in a queue each
time. Processor time, of this process and all that come from it, does not. Ratios are medians over
rounds. Run with --help for the options.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import anyio
import anyio.to_thread

from tts.sandbox import Outcome, SandboxConfig, SandboxPool

sys.path.insert(0, str(Path(__file__).parent))
import snippets

Result = tuple[str, str | None]
_SETS = 4
"""Sets of snippets in a round: enough that what runs out first, side by side, weighs little."""
ENVIRONMENT = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "PATH": os.environ["PATH"]}


def run_fresh(code: str) -> Result:
    """A new interpreter per snippet: safe from each other, not from the machine."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT, check=False
    )
    lines = done.stderr.strip().splitlines()
    return done.stdout, lines[-1] if done.returncode else None


def run_in_process(code: str) -> Result:
    """exec() beside the caller, as the papers' evaluators do: no protection at all."""
    out, error = io.StringIO(), None
    with contextlib.redirect_stdout(out):
        try:
            exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
        except Exception as e:
            error = f"{type(e).__name__}: {e}"
    return out.getvalue(), error


def outcome_of(outcome: Outcome) -> Result:
    """Comparable with what the others return; asserts that the snippet ended by itself."""
    assert outcome.status.value in ("ok", "error"), outcome
    return outcome.stdout, outcome.error


def processor_seconds() -> float:
    """User and system time of this process, of all its descendants, and of those they reaped."""
    parents, times = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(fields[1])
                times[int(entry.name)] = sum(map(int, fields[11:15]))
    ours = {os.getpid()}
    while new := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= new
    return sum(times[pid] for pid in ours) / os.sysconf("SC_CLK_TCK")


class Span(NamedTuple):
    """What a round of all snippets took, in seconds."""

    wall: float
    processor: float


async def one_by_one(codes: list[str], run: Callable[[str], Awaitable[Result]]) -> Span:
    """All of `codes`, one after the other."""
    began, used = time.perf_counter(), processor_seconds()
    for code in codes:
        await run(code)
    return Span(time.perf_counter() - began, processor_seconds() - used)


def private_kilobytes(pid: int) -> int:
    """Memory that only this process has."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


async def private_memory(pool: SandboxPool) -> float | None:
    """Median megabytes private to a child after a snippet; None where /proc may not be read."""
    found = []
    for code in snippets.numbered(snippets.SYMPY[:5], 99):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pool.run, f"{code}\nimport time\ntime.sleep(0.7)")
            await anyio.sleep(0.35)
            try:
                found.append(private_kilobytes(_youngest_descendant(os.getpid())) / 1024)
            except PermissionError:
                return None
    return statistics.median(found)


def _youngest_descendant(pid: int) -> int:
    while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        pid = int(children[-1])
    return pid


def pebble_worker() -> Callable[[str], Result] | None:
    """A warm worker process that is reused: fast, and a snippet can spoil it for the next one."""
    try:
        from pebble import ProcessPool
    except ImportError:
        return None
    import multiprocessing

    pool = ProcessPool(max_workers=1, context=multiprocessing.get_context("spawn"))

    def run(code: str) -> Result:
        result: Result = pool.schedule(run_in_process, args=[code], timeout=30).result()
        return result

    return run


async def measure(rounds: int, workers: int) -> dict[str, object]:
    """All figures of one run."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    texts = snippets.PLAIN + snippets.SYMPY + snippets.NUMPY
    with contextlib.suppress(ImportError):
        import scipy.optimize  # noqa: F401

        texts = texts + snippets.SCIPY
    import numpy  # noqa: F401
    import sympy  # noqa: F401

    codes = snippets.numbered(texts, 1)
    for code in codes:
        run_in_process(code)
    warm = pebble_worker()
    if warm is not None:
        for code in codes:
            warm(code)
    image = ("sympy", "numpy", "scipy.optimize") if "scipy" in sys.modules else ("sympy", "numpy")
    config = SandboxConfig(workers=workers, deadline_seconds=60, cache_entries=0, image=image)
    async with SandboxPool(config) as pool:
        differing = 0

        async def pooled(code: str) -> Result:
            return outcome_of(await pool.run(code))

        async def bare(code: str) -> Result:
            return run_in_process(code)

        async def in_worker(code: str) -> Result:
            assert warm is not None
            return await anyio.to_thread.run_sync(warm, code)

        async def interpreter(code: str) -> Result:
            return await anyio.to_thread.run_sync(run_fresh, code)

        table: dict[str, list[Span]] = {"pool": [], "pool, side by side": [], "exec": []}
        empty: list[float] = []
        empty_processor: list[float] = []
        empty_beside_image: list[float] = []
        for turn in range(1, rounds + 1):
            codes = [
                code
                for number in range(_SETS * turn, _SETS * (turn + 1))
                for code in snippets.numbered(texts, number)
            ]
            for code in codes:
                differing += outcome_of(await pool.run(code)) != run_fresh(code)
            table["pool"].append(await one_by_one(codes, pooled))
            table["exec"].append(await one_by_one(codes, bare))
            if warm is not None:
                table.setdefault("pebble", []).append(await one_by_one(codes, in_worker))
            table.setdefault("fresh", []).append(await one_by_one(codes, interpreter))
            began, used = time.perf_counter(), processor_seconds()
            async with anyio.create_task_group() as tasks:
                for code in codes:
                    tasks.start_soon(pooled, code)
            span = Span(time.perf_counter() - began, processor_seconds() - used)
            table["pool, side by side"].append(span)
            for _ in range(20):
                began = time.perf_counter()
                await pool.run("pass")
                empty.append(time.perf_counter() - began)
            used = processor_seconds()
            for _ in range(50):
                await pool.run("pass")
            empty_processor.append((processor_seconds() - used) / 50)
            used = processor_seconds()
            for _ in range(50):
                await pool.run("pass  # sympy")
            empty_beside_image.append((processor_seconds() - used) / 50)
        memory = await private_memory(pool)

    def per_snippet(field: int) -> dict[str, float]:
        return {
            name: round(statistics.median(s[field] for s in spans) / len(codes) * 1e3, 2)
            for name, spans in table.items()
        }

    def against(ours: str, field: int, processors: int = 1) -> dict[str, float]:
        """How many snippets the pool runs on `processors` while the other runs one."""
        return {
            name: round(statistics.median(b[field] / a[field] * processors for a, b in pairs), 3)
            for name in table
            if not name.startswith("pool")
            for pairs in [list(zip(table[ours], table[name], strict=True))]
        }

    quartile = statistics.quantiles(empty, n=4)[0]
    return {
        "snippets in a round": len(codes),
        "outputs that differ from fresh Python's": differing,
        "ms per snippet": {"wall": per_snippet(0), "processor": per_snippet(1)},
        "throughput of the pool / that of": {
            "one by one, wall": against("pool", 0),
            "one by one, processor": against("pool", 1),
            f"{workers} side by side, wall": against("pool, side by side", 0),
            f"{workers} side by side, processor, were {workers} cores free": against(
                "pool, side by side", 1, workers
            ),
        },
        "fixed cost, ms": {
            "wall, least": round(min(empty) * 1e3, 2),
            "wall, lower quartile": round(quartile * 1e3, 2),
            "wall, median": round(statistics.median(empty) * 1e3, 2),
            "processor": round(statistics.median(empty_processor) * 1e3, 2),
            "processor, with the image": round(statistics.median(empty_beside_image) * 1e3, 2),
        },
        "private memory of a child, MB": round(memory, 1) if memory is not None else None,
        "load average": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Parse the options, measure, print JSON; non-zero exit when an output differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="alternating rounds (default 3)")
    parser.add_argument("--workers", type=int, default=2, help="of the pool (default 2)")
    options = parser.parse_args()
    result = anyio.run(measure, options.rounds, options.workers)
    print(json.dumps(result, indent=2))
    sys.exit(bool(result["outputs that differ from fresh Python's"]))


if __name__ == "__main__":
    main()
