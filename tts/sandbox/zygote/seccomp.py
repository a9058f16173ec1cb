"""The system call filter: an allowlist that answers with ordinary errors and never kills.

A call that is not on the list fails with EPERM, so the snippet sees a Python exception with a name.
Killing instead would turn each new libc's new call into a random death. Calls that libc can do
without (clone3, statx, openat2) fail with ENOSYS, which makes it use the older one.

What is let through with a condition:
    open, openat     read-only and by flags known to be harmless
    fcntl            duplicate, close-on-exec, F_GETFL. F_SETOWN with F_SETSIG can kill others
    prlimit64        reading our own limits
    futex            wait and wake
    madvise          advice about our own ordinary memory
    ioctl, readlink  never, with the answers "not a terminal", "not a link"
"""

from __future__ import annotations

import ctypes
import errno
import struct
from typing import Final, NamedTuple

from . import kernel
from .syscalls import number

ALLOWED: Final = """
    access alarm brk clock_getres clock_gettime clock_nanosleep close dup dup2 dup3 exit
    exit_group faccessat fstat getcpu getcwd getdents64 getegid geteuid getgid getitimer
    getpid getppid getrandom getrlimit getrusage gettid gettimeofday getuid lseek lstat
    mincore mmap mprotect mremap munmap nanosleep newfstatat pause poll ppoll pread64
    pselect6 pwrite64 read readv restart_syscall rt_sigaction rt_sigprocmask rt_sigreturn
    sched_getaffinity sched_yield select setitimer sigaltstack stat sysinfo time times uname
    write writev
""".split()  # noqa: SIM905

ANSWERS: Final = {
    "clone3": errno.ENOSYS,
    "faccessat2": errno.ENOSYS,
    "ioctl": errno.ENOTTY,
    "openat2": errno.ENOSYS,
    "readlink": errno.EINVAL,
    "readlinkat": errno.EINVAL,
    "statx": errno.ENOSYS,
}

_FCNTL_COMMANDS: Final = (0, 1, 2, 3, 1030)  # DUPFD GETFD SETFD GETFL DUPFD_CLOEXEC
_FUTEX_OPERATIONS: Final = (0, 1, 9, 10)  # WAIT WAKE WAIT_BITSET WAKE_BITSET
_FUTEX_MODIFIERS: Final = 128 | 256  # PRIVATE CLOCK_REALTIME
_ADVICE: Final = (0, 1, 2, 3, 4, 8, 14, 15)  # NORMAL..DONTNEED FREE HUGEPAGE NOHUGEPAGE

_AUDIT_ARCH: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT: Final = 0x40000000
# O_RDONLY with NONBLOCK, NOCTTY, CLOEXEC, and the machine's LARGEFILE, DIRECTORY, NOFOLLOW.
_OPEN_FLAGS: Final = {
    "x86_64": 0o4000 | 0o400 | 0o2000000 | 0o100000 | 0o200000 | 0o400000,
    "aarch64": 0o4000 | 0o400 | 0o2000000 | 0o400000 | 0o40000 | 0o100000,
}

_LOAD, _EQUAL, _ABOVE, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x25, 0x35, 0x45, 0x54, 0x06
_ALLOW: Final = 0x7FFF0000
_FAIL: Final = 0x00050000
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16


class Instruction(NamedTuple):
    """One classic-BPF instruction; jumps count instructions to skip."""

    code: int
    if_true: int
    if_false: int
    value: int


def _load(offset: int) -> Instruction:
    return Instruction(_LOAD, 0, 0, offset)


def _argument(index: int, high: bool = False) -> Instruction:
    return _load(_ARGUMENTS_AT + 8 * index + 4 * high)  # both machines are little-endian


def _answer(value: int) -> Instruction:
    return Instruction(_RETURN, 0, 0, value)


def _one_of(values: tuple[int, ...], refusal: int) -> list[Instruction]:
    """Allow when the loaded word is one of `values`, else answer `refusal`."""
    last = len(values)
    tests = [Instruction(_EQUAL, last - i, 0, value) for i, value in enumerate(values)]
    return [*tests, _answer(_FAIL | refusal), _answer(_ALLOW)]


def _ranges(numbers: list[int]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for n in sorted(numbers):
        if spans and spans[-1][1] == n - 1:
            spans[-1] = (spans[-1][0], n)
        else:
            spans.append((n, n))
    return spans


def _conditions(machine: str) -> dict[str, list[Instruction]]:
    bad_open_bits = ~_OPEN_FLAGS[machine] & 0xFFFFFFFF
    read_only = [
        Instruction(_ANY_BIT, 0, 1, bad_open_bits),
        _answer(_FAIL | errno.EACCES),
        _answer(_ALLOW),
    ]
    zero = [  # pid, then both halves of the pointer to new limits
        instruction
        for load in (_argument(0), _argument(2), _argument(2, high=True))
        for instruction in (load, Instruction(_EQUAL, 1, 0, 0), _answer(_FAIL | errno.EPERM))
    ]
    plain = Instruction(_AND, 0, 0, ~_FUTEX_MODIFIERS & 0xFFFFFFFF)
    return {
        "fcntl": [_argument(1), *_one_of(_FCNTL_COMMANDS, errno.EPERM)],
        "futex": [_argument(1), plain, *_one_of(_FUTEX_OPERATIONS, errno.ENOSYS)],
        "madvise": [_argument(2), *_one_of(_ADVICE, errno.EINVAL)],
        "open": [_argument(1), *read_only],
        "openat": [_argument(2), *read_only],
        "prlimit64": [*zero, _answer(_ALLOW)],
    }


def program(machine: str) -> list[Instruction]:
    """The filter for `machine`. Every rule stands alone and falls through when it is not meant."""
    refuse = _answer(_FAIL | errno.EPERM)
    code = [_load(_ARCH_AT), Instruction(_EQUAL, 1, 0, _AUDIT_ARCH[machine]), refuse]
    code.append(_load(_NUMBER_AT))
    if machine == "x86_64":
        code += [Instruction(_AT_LEAST, 0, 1, _X32_BIT), refuse]
    allowed = [n for name in ALLOWED if (n := number(name, machine)) is not None]
    for first, last in _ranges(allowed):
        if first == last:
            code += [Instruction(_EQUAL, 0, 1, first), _answer(_ALLOW)]
        else:
            code += [
                Instruction(_AT_LEAST, 0, 2, first),
                Instruction(_ABOVE, 1, 0, last),
                _answer(_ALLOW),
            ]
    rules = {name: [_answer(_FAIL | code_)] for name, code_ in ANSWERS.items()}
    for name, body in {**_conditions(machine), **rules}.items():
        n = number(name, machine)
        if n is not None:
            code += [Instruction(_EQUAL, 0, len(body), n), *body]
    return [*code, refuse]


class Filter:
    """A compiled filter, kept ready in the zygote so that a child only has to install it."""

    def __init__(self, machine: str) -> None:
        code = program(machine)
        packed = b"".join(struct.pack("<HBBI", *instruction) for instruction in code)
        self._code = ctypes.create_string_buffer(packed, len(packed))
        header = struct.pack("<HxxxxxxQ", len(code), ctypes.addressof(self._code))
        self._header = ctypes.create_string_buffer(header, len(header))
        set_mode_filter = 1
        self._call = kernel.prepared("seccomp", set_mode_filter, 0, ctypes.addressof(self._header))

    def install(self) -> int:
        """Bind this process for good; negative when that fails. Needs `no_new_privileges` first."""
        return self._call()
