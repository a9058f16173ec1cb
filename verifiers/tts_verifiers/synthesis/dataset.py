"""Dataset: labelled solutions in, conversations to train on out, and why the others were dropped.

A row is `{"conversations": [{"role", "content"}, ...]}` as in the released GenPRM-MATH-Data:
system, then each step as the user's turn and its critique as the assistant's. Steps after the first
wrong one are left out where the teacher says nothing of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tts.budget.meter import Meter
from tts.errors import Overlong
from tts.seeds import node_seed
from tts.types import FREE, Cost
from tts_verifiers.genprm.profiles import CARD, Profile
from tts_verifiers.synthesis.abreast import abreast
from tts_verifiers.synthesis.consensus import Decision, Fate, decide
from tts_verifiers.synthesis.journal import Journal, Record
from tts_verifiers.synthesis.rationale import Teacher
from tts_verifiers.synthesis.solutions import Labelled
from tts_verifiers.synthesis.wording import conversation


@dataclass(frozen=True, slots=True)
class SynthesisSummary:
    """What became of all solutions. The counts of `fates` add up to `solutions`."""

    solutions: int = 0
    resumed: int = 0
    """Of these, those that an earlier run had done."""
    fates: Mapping[str, int] = field(default_factory=dict)
    """By the value of a `Fate`; `kept` are the rows of the output."""
    refusals: Mapping[str, int] = field(default_factory=dict)
    """Why the teacher's critique could not be used, most frequent first."""
    turns: int = 0
    """The assistant's, of what was kept."""
    wrong_turns: int = 0
    """Of these, those that say No."""
    cost: Cost = FREE
    """The teacher's, earlier runs included."""


async def synthesize(
    solutions: Sequence[Labelled],
    teacher: Teacher,
    journal: Journal,
    *,
    profile: Profile = CARD,
    seed: int = 0,
    at_once: int = 32,
    on_done: Callable[[int], None] = lambda done: None,
) -> tuple[list[dict[str, Any]], SynthesisSummary]:
    """Have solutions criticised, and keep those about which teacher and labels agree.

    Args:
        solutions: with labels.
        teacher: writes the critiques.
        journal: what is in it is not done again.
        profile: spells the user's turns and the system's.
        seed: decides all critiques, with the solutions' ids.
        at_once: solutions in progress, >= 1.
        on_done: hears how many are done.

    Raises:
        ConfigError: an argument cannot be used.
        BackendError: the teacher's engine failed; what is done is in the journal.
    """
    records: dict[str, Record] = {}
    resumed = 0

    async def work(labelled: Labelled) -> None:
        nonlocal resumed
        name = labelled.solution.id
        record = journal.get("rationale", name, labelled.digest)
        if record is None:
            record = await _criticised(labelled, teacher, seed)
            journal.put("rationale", name, labelled.digest, record)
        else:
            resumed += 1
        records[name] = record
        on_done(len(records))

    await abreast(solutions, work, at_once)
    ordered = [(each, records[each.solution.id]) for each in solutions]
    rows = [_row(each, record, profile) for each, record in ordered if _is_kept(record)]
    return rows, _summary([record for _, record in ordered], resumed)


async def _criticised(labelled: Labelled, teacher: Teacher, seed: int) -> Record:
    solution, meter = labelled.solution, Meter()
    texts: list[str] = []
    rights: list[bool] = []
    if labelled.unsolved:
        decision = Decision(Fate.UNSOLVED)
    else:
        try:
            rationale = await teacher.judge(
                replace(solution.problem, answer=None),
                [step.strip() for step in solution.steps],
                seed=node_seed(seed, solution.id, ()),
                meter=meter,
            )
            decision = decide(labelled.labels, rationale)
            texts = [passage.text for passage in rationale.passages]
            rights = [passage.right for passage in rationale.passages]
        except Overlong as error:
            decision = Decision(Fate.TOO_LONG, str(error))
    return {
        "fate": decision.fate.value,
        "detail": decision.detail,
        "texts": texts,
        "rights": rights,
        "cost": asdict(meter.cost),
    }


def _row(labelled: Labelled, record: Record, profile: Profile) -> dict[str, Any]:
    solution = labelled.solution
    return {
        "conversations": conversation(
            solution.problem.prompt, solution.steps, record["texts"], profile
        )
    }


def _summary(records: Sequence[Record], resumed: int) -> SynthesisSummary:
    fates = Counter(record["fate"] for record in records)
    refused = [record["detail"] for record in records if record["fate"] == Fate.REFUSED.value]
    rights = [right for record in records if _is_kept(record) for right in record["rights"]]
    return SynthesisSummary(
        solutions=len(records),
        resumed=resumed,
        fates={fate.value: fates[fate.value] for fate in Fate},
        refusals=dict(Counter(refused).most_common()),
        turns=len(rights),
        wrong_turns=rights.count(False),
        cost=sum((Cost(**record["cost"]) for record in records), FREE),
    )


def _is_kept(record: Record) -> bool:
    return bool(record["fate"] == Fate.KEPT.value)
