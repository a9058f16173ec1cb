"""The system call filter, executed instruction by instruction, for both machines."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from tts.sandbox.zygote.seccomp import ALLOWED, ANSWERS, program
from tts.sandbox.zygote.syscalls import MACHINES, NUMBERS, number

ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW = "allow"


def answer(machine: str, call: int, *arguments: int, architecture: int | None = None) -> str | int:
    """What the filter says: ALLOW or the errno."""
    words = [*arguments, *(0,) * (6 - len(arguments))]
    arch = ARCHITECTURE[machine] if architecture is None else architecture
    data = struct.pack("<IIQ6Q", call & 0xFFFFFFFF, arch, 0, *(w & (1 << 64) - 1 for w in words))
    code = program(machine)
    register, at = 0, 0
    while True:
        step = code[at]
        at += 1
        if step.code == 0x20:
            (register,) = struct.unpack_from("<I", data, step.value)
        elif step.code == 0x54:
            register &= step.value
        elif step.code == 0x06:
            kind, detail = step.value & 0xFFFF0000, step.value & 0xFFFF
            assert kind in (0x7FFF0000, 0x00050000), "neither allow nor errno"
            return ALLOW if kind == 0x7FFF0000 else detail
        else:
            taken = {
                0x15: register == step.value,
                0x25: register > step.value,
                0x35: register >= step.value,
                0x45: bool(register & step.value),
            }[step.code]
            at += step.if_true if taken else step.if_false


def by_name(machine: str, name: str, *arguments: int) -> str | int:
    call = number(name, machine)
    assert call is not None
    return answer(machine, call, *arguments)


@pytest.mark.parametrize("machine", MACHINES)
def test_exactly_the_listed_calls_are_allowed(machine: str) -> None:
    conditional = {"open", "openat", "fcntl", "futex", "madvise", "prlimit64"}
    known = {number(name, machine): name for name in NUMBERS}
    for call in range(1024):
        name = known.get(call, "")
        said = answer(machine, call)
        if name in ALLOWED or name in conditional:
            assert said == ALLOW, name
        else:
            assert said == ANSWERS.get(name, errno.EPERM), name or call


@pytest.mark.parametrize("machine", MACHINES)
def test_files_open_for_reading_only(machine: str) -> None:
    plain, cloexec = 0, 0o2000000
    assert by_name(machine, "openat", -100, 0, plain | cloexec) == ALLOW
    for bad in (1, 2, 3, 0o100, 0o1000, 0o2000, 0o20000, 0o20000000, 0o10000000, 1 << 31):
        assert by_name(machine, "openat", -100, 0, cloexec | bad) == errno.EACCES, oct(bad)
    assert by_name(machine, "openat", -100, 0, 1 << 32) == ALLOW  # the kernel takes an int


@pytest.mark.parametrize("machine", MACHINES)
def test_fcntl_cannot_name_another_process(machine: str) -> None:
    allowed = {c for c in range(2048) if by_name(machine, "fcntl", 1, c) == ALLOW}
    assert allowed == {0, 1, 2, 3, 1030}


@pytest.mark.parametrize("machine", MACHINES)
def test_limits_can_be_read_and_not_set(machine: str) -> None:
    assert by_name(machine, "prlimit64", 0, 9, 0, 0x7F00) == ALLOW
    for arguments in ((1, 9, 0), (0, 9, 1), (0, 9, 1 << 32), (0, 9, 1 << 63)):
        assert by_name(machine, "prlimit64", *arguments) == errno.EPERM


@pytest.mark.parametrize("machine", MACHINES)
def test_futex_waits_and_wakes_only(machine: str) -> None:
    allowed = {op for op in range(512) if by_name(machine, "futex", 0, op) == ALLOW}
    assert {op & ~(128 | 256) for op in allowed} == {0, 1, 9, 10}


@pytest.mark.parametrize("machine", MACHINES)
def test_other_architectures_are_refused(machine: str) -> None:
    for architecture in (0x40000003, 0x40000028, 0, ARCHITECTURE[machine] ^ 1):
        for call in range(460):
            assert answer(machine, call, architecture=architecture) == errno.EPERM


def test_x32_numbers_are_refused() -> None:
    for call in range(600):
        assert answer("x86_64", 0x40000000 + call) == errno.EPERM
        assert answer("x86_64", -1 - call) == errno.EPERM


@pytest.mark.parametrize("machine", MACHINES)
def test_program_fits_into_the_kernel_and_its_jumps_into_it(machine: str) -> None:
    code = program(machine)
    assert len(code) < 4096
    for at, step in enumerate(code):
        assert 0 <= step.if_true < 256
        assert 0 <= step.if_false < 256
        assert at + 1 + max(step.if_true, step.if_false) < len(code) or step.code == 0x06
    assert code[-1].code == 0x06


HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
GENERIC = Path("/usr/include/asm-generic/unistd.h")


@pytest.mark.skipif(not HEADER.exists(), reason="no x86-64 kernel headers")
def test_numbers_for_x86_64_are_the_kernels() -> None:
    theirs = dict(re.findall(r"#define __NR_(\w+) (\d+)", HEADER.read_text()))
    ours = {name: pair[0] for name, pair in NUMBERS.items() if pair[0] is not None}
    assert {name: int(theirs[name]) for name in ours} == ours


@pytest.mark.skipif(not GENERIC.exists(), reason="no generic kernel headers")
def test_numbers_for_aarch64_are_the_kernels() -> None:
    text = GENERIC.read_text()
    theirs = {n: int(v) for n, v in re.findall(r"#define __NR_(\w+) (\d+)", text)}
    theirs |= {n: int(v) for n, v in re.findall(r"#define __NR3264_(\w+) (\d+)", text)}
    ours = {name: pair[1] for name, pair in NUMBERS.items() if pair[1] is not None}
    aliases = {"newfstatat": "fstatat"}
    assert {name: theirs[aliases.get(name, name)] for name in ours} == ours
