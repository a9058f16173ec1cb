"""Which layer catches what: with some taken away, exactly the expected attacks come through.

The table is honest about what each layer is worth. A row that lets nothing through is a second
lock on a door that another layer keeps shut. `may` holds what depends on the kernel's version and
configuration, on capabilities and on the file system.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import pytest

from tts.errors import ConfigError, SandboxError
from tts.sandbox import SandboxConfig, SandboxPool, describe
from tts.sandbox.zygote import kernel, landlock

FAMILIES = ("files", "network", "processes", "signals")
ALL_BUT_LIMITS = "seccomp landlock landlock_scope namespaces"

KERNEL_LOTTERY = set(
    """
    files_xattr files_by_handle files_chown files_device files_tty network_vsock
    network_algorithms network_io_uring processes_keys processes_bpf processes_perf
    processes_userfaultfd processes_unshare processes_compare files_engine_environment
    files_parent_memory files_readlink processes_ptrace_attach processes_read_memory
    processes_pidfd_getfd processes_x32 processes_machine_code_i386 processes_vfork
    files_message_queue files_sysv_shm files_sysv_messages files_posix_shm files_mount
    files_chroot processes_affinity processes_priority_of_others processes_setuid network_raw
    processes_setns processes_poison_memory processes_kernel_log processes_capabilities
    signals_timer_for_another processes_loader files_own_maps files_through_proc_root
    processes_machine_code_64 files_hardlink files_reopen_output_for_writing
    files_below_the_standard_library files_unnamed network_asyncio
    """.split()  # noqa: SIM905
)
READS = {"files_read_passwd", "files_list_root", "files_list_here"}
READS_IN_HIDDEN_FOLDERS = {"files_read_canary", "files_read_by_mmap", "files_list_home"}
IN_OWN_PROCESS = set(
    """
    files_inotify files_memfd network_netlink network_pair network_tcp_raw_call
    processes_clone processes_clone3 processes_scheduler processes_fork processes_fork_bomb
    processes_futex_requeue processes_multiprocessing processes_orphan processes_prctl
    processes_personality processes_priority processes_ptrace_me processes_thread
    processes_thread_pool signals_asynchronous_flag signals_kill_everybody signals_lease
    """.split()  # noqa: SIM905
)
UNCOVERED_BY_LANDLOCK = set(
    """
    files_chmod files_utime network_udp network_unix processes_high_halves
    processes_limits_of_others processes_look_at_others_limits signals_owner_extended
    signals_owner_of_a_folder signals_owner_of_standard_input
    """.split()  # noqa: SIM905
)
EVERYTHING_ELSE = set(
    """
    files_append files_create files_mkdir files_rename files_symlink files_truncate
    files_unlink files_fifo files_chdir files_openat2 files_path_descriptor
    files_create_in_tmp network_abstract network_tcp network_urlopen processes_exec
    processes_execveat processes_pidfd processes_spawn processes_subprocess processes_system
    signals_group signals_kill signals_kill_the_engine
    signals_kill_the_parent signals_queue signals_thread
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Row:
    off: str
    must: frozenset[str] | set[str]
    may: frozenset[str] | set[str]


TABLE = [
    Row("namespaces", set(), set()),
    Row("landlock_scope", set(), set()),
    Row("capabilities", set(), set()),
    Row("parent_death_signal not_dumpable", set(), set()),
    Row("landlock", READS, READS_IN_HIDDEN_FOLDERS | KERNEL_LOTTERY),
    Row("landlock namespaces", READS | READS_IN_HIDDEN_FOLDERS, KERNEL_LOTTERY),
    Row("seccomp", IN_OWN_PROCESS, KERNEL_LOTTERY | UNCOVERED_BY_LANDLOCK),
    Row("seccomp namespaces", IN_OWN_PROCESS | UNCOVERED_BY_LANDLOCK, KERNEL_LOTTERY),
    Row(
        ALL_BUT_LIMITS,
        READS | READS_IN_HIDDEN_FOLDERS | IN_OWN_PROCESS | UNCOVERED_BY_LANDLOCK | EVERYTHING_ELSE,
        KERNEL_LOTTERY,
    ),
]


async def let_through(attacks, arena, config: SandboxConfig) -> set[str]:
    """The attacks that achieve something under `config`."""
    found = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        async with SandboxPool(config) as pool:
            for attack in attacks:
                if attack.name.startswith(FAMILIES):
                    outcome = await pool.run(arena.arm(attack.code))
                    if arena.damage(outcome):
                        found.add(attack.name)
                        arena.repair()
    return found


@pytest.mark.anyio
@pytest.mark.skipif(landlock.abi() < 6, reason="the table is for kernels with Landlock ABI 6")
@pytest.mark.parametrize(
    "row",
    [
        pytest.param(
            row,
            id=row.off.replace(" ", "+"),
            marks=[pytest.mark.slow] if not row.must | row.may else [],
        )
        for row in TABLE
    ],
)
async def test_attacks_that_come_through_without_a_layer(row, attacks, arena, harsh) -> None:
    config = replace(harsh, tier="unsafe", image=(), disabled_layers=frozenset(row.off.split()))
    found = await let_through(attacks, arena, config)
    assert found >= row.must
    assert found - row.must <= row.may


@pytest.mark.anyio
@pytest.mark.parametrize(
    "version",
    [1, pytest.param(3, marks=pytest.mark.slow), pytest.param(5, marks=pytest.mark.slow)],
)
async def test_older_landlock_contains_the_corpus(version, attacks, arena, harsh) -> None:
    config = replace(harsh, image=(), landlock_abi=version, disabled_layers={"namespaces"})
    assert await let_through(attacks, arena, config) == set()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("off", "tier", "advised"),
    [
        ("landlock namespaces", "strict", "reduced"),
        ("seccomp namespaces", "strict", "unsafe"),
        ("seccomp", "reduced", "unsafe"),
        ("no_new_privileges", "strict", "unsafe"),
    ],
)
async def test_missing_layer_is_refused_in_plain_words(off, tier, advised) -> None:
    layers = frozenset(off.split())
    with pytest.raises(SandboxError) as refusal:
        async with SandboxPool(SandboxConfig(tier=tier, image=(), disabled_layers=layers)):
            pytest.fail("it opened")
    text = str(refusal.value)
    assert off.split()[0] in text
    assert "disabled by the configuration" in text
    assert f"tier {advised!r}" in text
    assert "without running code" in text


@pytest.mark.anyio
async def test_self_test_believes_what_it_sees_and_not_what_layers_say(monkeypatch) -> None:
    monkeypatch.setattr("tts.sandbox.selftest.SNIPPET", "print('{{\"files\": null}}')")
    with pytest.raises(SandboxError, match="test: files: it worked"):
        async with SandboxPool(SandboxConfig(image=())):
            pytest.fail("it opened")


@pytest.mark.anyio
async def test_limits_are_never_optional() -> None:
    config = SandboxConfig(tier="unsafe", image=(), disabled_layers=frozenset({"limits"}))
    with pytest.raises(SandboxError, match="No tier can work here"):
        async with SandboxPool(config):
            pytest.fail("it opened")


@pytest.mark.anyio
async def test_reduced_tier_warns_once_and_says_so_in_every_outcome() -> None:
    config = SandboxConfig(
        tier="reduced", image=(), disabled_layers=frozenset({"landlock", "namespaces"})
    )
    with pytest.warns(RuntimeWarning, match="can read host files"):
        pool = await SandboxPool(config).__aenter__()
    try:
        assert (await pool.run("print(1)")).exposed == ("read host files",)
        outcome = await pool.run("import socket\nsocket.socket()")
        assert outcome.error == "PermissionError: [Errno 1] Operation not permitted"
    finally:
        await pool.__aexit__(None, None, None)


@pytest.mark.anyio
async def test_strict_outcomes_expose_nothing(pool) -> None:
    assert (await pool.run("1")).exposed == ()


@pytest.mark.anyio
async def test_describe_lists_all_layers_and_refuses_nothing() -> None:
    rows = await describe(SandboxConfig(disabled_layers=frozenset({"landlock", "namespaces"})))
    named = {row.name: row for row in rows}
    assert named["landlock"].required
    assert not named["landlock"].holds
    assert named["landlock"].why == "disabled by the configuration"
    assert not named["test: files"].holds
    assert named["seccomp"].holds
    assert named["seccomp"].why == kernel.MACHINE
    assert not named["namespaces"].required
    assert all(row.purpose for row in rows)
    assert len(rows) == 18


def test_wrong_configurations_are_refused_with_the_right_ones() -> None:
    with pytest.raises(ConfigError, match="reduced, strict, unsafe"):
        SandboxConfig(tier="strickt")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="did you mean 'seccomp'"):
        SandboxConfig(disabled_layers=frozenset({"secomp"}))
    for field in ("workers", "deadline_seconds", "memory_bytes", "output_bytes"):
        with pytest.raises(ConfigError, match=field):
            SandboxConfig(**{field: -1})
    with pytest.raises(ConfigError, match="seed"):
        SandboxConfig(seed=-1)
    with pytest.raises(ConfigError, match="cache_entries"):
        SandboxConfig(cache_entries=-1)
    with pytest.raises(ConfigError, match="module name"):
        SandboxConfig(module_name="main")  # type: ignore[arg-type]
