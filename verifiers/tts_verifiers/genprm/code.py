r"""Code: the blocks that a critique wants run, and what is told to it of their output.

State lasts as long as a conversation: the blocks of earlier turns of the same chain come before a
new one, as in the authors' executor (one namespace for a solution), but never those of another
vote. Whoever runs the code decides how; all that is asked of it is `CodeRunner`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

from tts.sandbox.compat import TIMED_OUT, last_block, render
from tts.sandbox.outcome import Outcome
from tts.verifier import Cost, Meter
from tts_verifiers.genprm.profiles import UNEXECUTED

_FENCE: Final = "```"


class CodeRunner(Protocol):
    """Runs model-written code. Many blocks are run at once: no state is kept between calls."""

    @property
    def limit_seconds(self) -> float:
        """The most CPU seconds that one run takes, its prelude included."""
        ...

    async def run(self, code: str, prelude: Sequence[str]) -> Outcome:
        """Run `prelude`, block by block and silently, whatever it raises; then `code`.

        Code that loops, floods, forks or dies has an outcome too.
        """
        ...

    async def aclose(self) -> None:
        """End its processes. Idempotent."""
        ...


async def run_metered(
    runner: CodeRunner, code: str, prelude: Sequence[str], meter: Meter
) -> Outcome:
    """Run code as `runner` does, and book what it took; a cached outcome took nothing."""
    with meter.call(Cost(code_seconds=runner.limit_seconds)) as reading:
        outcome = await runner.run(code, prelude)
        reading.cost = Cost(code_seconds=0.0 if outcome.cached else outcome.cpu_seconds)
    return outcome


def executed_blocks(critique: str) -> list[str]:
    """The blocks of a critique that have an output, in order, less those that timed out."""
    asked, *answered = critique.split(_FENCE + "\n" + UNEXECUTED)
    blocks: list[str] = []
    for answer in answered:
        block = last_block(asked + _FENCE)
        if block is not None and not answer.startswith(TIMED_OUT):
            blocks.append(block)
        asked = answer
    return blocks


def told(outcome: Outcome | None, limit: int) -> str:
    """What a critique is told of a run (None: there was no code), as the authors' executor says it.

    Other than there, at most `limit` characters are told: 200 kB of output must not become the
    prompt.
    """
    if outcome is None:
        return render(None)
    printed, error = outcome.stdout.strip(), outcome.error
    return render(
        replace(
            outcome,
            stdout=printed[:limit],
            error=None if error is None else error[:limit],
            truncated=outcome.truncated or len(printed) > limit,
        )
    )
