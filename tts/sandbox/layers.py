"""Which protections must hold for which tier, and the refusal when one does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tts.errors import SandboxError

from .config import Tier


@dataclass(frozen=True, slots=True)
class Layer:
    """One protection. A name that starts with "test:" is a fact observed by trying it."""

    name: str
    required: bool  # by the tier in force
    holds: bool
    why: str
    purpose: str


_STRICT, _REDUCED, _UNSAFE = ("strict",), ("strict", "reduced"), ("strict", "reduced", "unsafe")

# name -> (tiers that require it, what it is for)
_LAYERS: dict[str, tuple[tuple[str, ...], str]] = {
    "environment": (_UNSAFE, "no variable of this process is passed on"),
    "limits": (_UNSAFE, "memory, processor time, output and open files are bounded"),
    "own_session": (_UNSAFE, "no terminal"),
    "single_thread": (_REDUCED, "forking is safe"),
    "no_new_privileges": (_REDUCED, "nothing gains rights"),
    "capabilities": (_REDUCED, "root is an ordinary user"),
    "not_dumpable": (_REDUCED, "no core dumps, no ptrace from siblings"),
    "parent_death_signal": (_REDUCED, "no snippet outlives the sandbox"),
    "seccomp": (_REDUCED, "no sockets, processes, signals or writes"),
    "landlock": (_STRICT, "no files but library folders"),
    "landlock_scope": ((), "a second lock on signals, also between siblings"),
    "namespaces": ((), "a second wall around processes, network and folders"),
    "user": ((), "not the user root"),
}
_TESTS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "files": (_STRICT, "reading /etc/passwd and a file of this process", "read host files"),
    "writes": (_REDUCED, "writing to a file of this process", "change host files"),
    "network": (_REDUCED, "opening sockets", "use the network"),
    "processes": (_REDUCED, "forking", "start processes"),
    "signals": (_REDUCED, "signalling this process", "kill other processes"),
}


def judge(
    tier: Tier, report: Mapping[str, Sequence[object]], tests: Mapping[str, str | None]
) -> tuple[Layer, ...]:
    """One row per layer and per test.

    `report` is the zygote's own account, name -> (holds, why). `tests` are the self-test's: the
    refusal that the attempt met, None where it succeeded.
    """
    rows = []
    for name, (tiers, purpose) in _LAYERS.items():
        holds, why = report.get(name, (False, "not reported"))
        rows.append(Layer(name, tier in tiers, bool(holds), str(why), purpose))
    for name, (tiers, attempt, _) in _TESTS.items():
        refusal = tests.get(name)
        why = f"refused: {refusal}" if refusal else "it worked" if name in tests else "not tried"
        rows.append(Layer(f"test: {name}", tier in tiers, bool(refusal), why, attempt))
    return tuple(rows)


def exposed(tests: Mapping[str, str | None]) -> tuple[str, ...]:
    """What snippets can do that a strict sandbox would refuse, in words."""
    return tuple(words for name, (_, _, words) in _TESTS.items() if not tests.get(name))


def refuse_unless_safe(tier: Tier, rows: Sequence[Layer], tests: Mapping[str, str | None]) -> None:
    """SandboxError when a required row does not hold; its text says what to do about it."""
    missing = [row for row in rows if row.required and not row.holds]
    if not missing:
        return
    listing = "\n".join(f"  {row.name}: {row.why} (needed for: {row.purpose})" for row in missing)
    abilities = exposed(tests)
    reach = f"Model-written code could {', '.join(abilities)}. " if abilities else ""
    enough = next(
        (
            candidate
            for candidate in ("reduced", "unsafe")
            if all(row.holds for row in rows if candidate in _tiers(row.name))
        ),
        None,
    )
    allow = (
        f"If you accept that, ask for the sandbox tier {enough!r} instead. "
        if enough
        else "No tier can work here. "
    )
    raise SandboxError(
        f"the sandbox tier {tier!r} is not possible on this machine, so no code was run.\n"
        f"Missing:\n{listing}\n{reach}{allow}"
        "Or verify without running code, or run inside a container or virtual machine that has "
        "these layers; `tts doctor` lists all of them."
    )


def _tiers(name: str) -> tuple[str, ...]:
    if name in _LAYERS:
        return _LAYERS[name][0]
    return _TESTS[name.removeprefix("test: ")][0]
