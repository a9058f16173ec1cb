"""Blocks of one solution share a namespace, as if one process had run them all; others do not."""

from __future__ import annotations

import contextlib
import io

import anyio
import pytest

from tts.errors import SandboxError
from tts.sandbox import SandboxPool, Status
from tts.sandbox.replay import needed

# Sequences of blocks with what a namespace kept in one process prints for each.
SOLUTIONS = [
    ["x = 3", "print(x)", "x += 1", "print(x)"],
    ["import math", "print(math.sqrt(9))", "r = math.pi\nprint(round(r, 3))", "print(r > 3)"],
    ["from sympy import *\nx = symbols('x')", "s = solve(x**2 - 4, x)\nprint(s)", "print(sum(s))"],
    ["a = [1]", "a.append(2)", "print(a)"],
    ["y = undefined\nz = 3", "print('z' in dir())"],
    ["z = 3\nundefined", "print(z)"],
    ["x = 1\nexit()\nx = 2", "print(x)"],
    ["def f(n):\n    return n if n < 2 else f(n - 1) + f(n - 2)", "print(f(10))"],
    ["k = 5\ndef g():\n    return k", "k = 6\nprint(g())"],
    ["total = 0", "for i in range(4):\n    total += i", "print(total, i)"],
    ["class A:\n    v = 1", "a = A()\na.v = 7", "print(a.v, A.v)"],
    ["import random\nrandom.seed(5)", "import random\nprint(random.random())"],
    ["from decimal import getcontext\ngetcontext().prec = 5",
     "import decimal\nprint(decimal.Decimal(1)/3)"],
    ["import math\nmath.answer = 42", "import math\nprint(math.answer)"],
    ["n = 2", "if n > 1:\n    m = 1\nprint(m)", "print(m + n)"],
    ["x = 1", "[print(x) for x in range(2)]", "print(x)"],
    ["x = 1", "print((lambda x: x)(5))", "print((lambda: x)())"],
    ["x = 1", "def f(y=x):\n    x = y + 1\n    return x\nprint(f())"],
    ["x = 1", "def f():\n    global x\n    x = 9\nf()", "print(x)"],
    ["x = 1", "print(eval('x'))", "print(sorted(k for k in globals() if k == 'x'))"],
    ["max = 5", "print(max)"],
    ["del_me = 1", "del del_me", "print('del_me' in globals())"],
    ["x = 1", "x: int = 2\nprint(x)", "print(x)"],
    ["w = 4", "print(f'{w:>3}')"],
    ["p = 1", "match 2:\n    case p:\n        pass\nprint(p)", "print(p)"],
    ["q = (1, 2)", "a, *b = q\nprint(a, b)", "print(b)"],
    ["try:\n    e1 = 1\nexcept ValueError as e2:\n    pass", "print(e1)"],
    ["import sympy as sp\nt = sp.Symbol('t')",
     "import sympy as sp\nt = sp.Symbol('u')\nprint(t)", "print(t)"],
    ["x = 1\nx = (", "print('fine')", "print('x' in globals())"],
    ["print('loud')", "print('only me')"],
    ["import sys\nout = sys.stdout", "out.write('through the old name\\n')"],
    ["v = 1", "print(v if v else 0)", "(v := 8)", "print(v)"],
    ["v = 1", "with open('/nonexistent') as v:\n    pass", "print(v)"],
    ["import builtins\nbuiltins.shared = 3", "print(shared)"],
    ["s = 'kept'", "class B:\n    t = s\nprint(B.t)"],
    ["i = 9", "while False:\n    i = 1\nprint(i)"],
    ["c = 0", "def inc():\n    global c\n    c += 1\ninc(); inc()", "inc()\nprint(c)"],
]  # fmt: skip


def kept_namespace(blocks: list[str]) -> list[tuple[str, str | None]]:
    """(stdout, error type) of each block, run in this process in one namespace, as GenPRM does."""
    program = f"""
import contextlib, io, json, sys, types
main = sys.modules["__main__"] = types.ModuleType("__main__")
results = []
for block in {blocks!r}:
    out, error = io.StringIO(), None
    with contextlib.redirect_stdout(out):
        try:
            exec(compile(block, "<string>", "exec"), main.__dict__)
        except SystemExit:
            pass
        except BaseException as e:
            error = f"{{type(e).__name__}}: {{e}}"
    results.append((out.getvalue(), error))
print(json.dumps(results))
"""
    import json
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return [tuple(pair) for pair in json.loads(done.stdout)]


@pytest.mark.anyio
@pytest.mark.parametrize("blocks", SOLUTIONS, ids=lambda blocks: " | ".join(blocks)[:40])
async def test_session_prints_what_a_kept_namespace_prints(blocks, pool: SandboxPool) -> None:
    expected = kept_namespace(blocks)
    if "through the old name" in blocks[-1]:
        expected[-1] = ("through the old name\n", None)  # redirection hides it there
    session = pool.session()
    found = []
    for block in blocks:
        outcome = await session.run(block, deadline=30)
        found.append((outcome.stdout, outcome.error))
    assert found == expected


@pytest.mark.anyio
async def test_sessions_do_not_see_each_other(pool) -> None:
    one, two = pool.session(), pool.session()
    await one.run("mine = 1")
    assert (await two.run("print(mine)")).error == "NameError: name 'mine' is not defined"
    assert (await one.run("print(mine)")).stdout == "1\n"


@pytest.mark.anyio
async def test_branches_share_the_past_and_not_the_future(pool) -> None:
    root = pool.session()
    await root.run("x = [1]")
    left, right = root.branch(), root.branch()
    await left.run("x.append(2)")
    assert (await left.run("print(x)")).stdout == "[1, 2]\n"
    assert (await right.run("print(x)")).stdout == "[1]\n"
    assert (await root.run("print(x)")).stdout == "[1]\n"


@pytest.mark.anyio
async def test_block_that_did_not_end_is_not_replayed(pool) -> None:
    session = pool.session()
    await session.run("x = 1")
    assert (
        await session.run("x = 2\nwhile True:\n    pass", deadline=0.3)
    ).status is Status.TIMEOUT
    assert (await session.run("import os\nos._exit(x)")).status is Status.KILLED
    outcome = await session.run("print(x)")
    assert (outcome.stdout, outcome.error) == ("1\n", None)


@pytest.mark.anyio
async def test_replay_has_time_of_its_own(pool) -> None:
    session = pool.session()
    await session.run("import time\ntime.sleep(0.5)\nx = 1", deadline=30)
    outcome = await session.run("print(x)", deadline=0.4)
    assert (outcome.status, outcome.stdout) == (Status.OK, "1\n")


@pytest.mark.anyio
async def test_replay_is_silent_even_below_python(pool) -> None:
    loud = "import os, sys\nos.write(1, b'raw')\nos.write(2, b'raw')\n"
    loud += "print('x', file=sys.stderr)\nv = 1"
    outcome = await pool.run("print(v)", prelude=[loud, "print('loud')\n1/0"])
    assert (outcome.stdout, outcome.stderr, outcome.error) == ("1\n", "", None)


@pytest.mark.anyio
async def test_session_runs_one_block_at_a_time(pool) -> None:
    session = pool.session()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session.run, "import time\ntime.sleep(0.3)")
        await anyio.sleep(0.05)
        with pytest.raises(SandboxError, match="branch"):
            await session.run("1")
    assert (await session.run("print(1)")).ok


@pytest.mark.parametrize(
    ("earlier", "code"),
    [
        ("import sympy as sp\nx = 1", "import sympy as sp\nprint(sp.sqrt(8))"),
        ("from sympy import *\nx = 1", "from sympy import *\nx = symbols('x')\nprint(x)"),
        ("x = 1", "x = 2\nprint(x)"),
        ("i = 5", "for i in range(3):\n    print(i)"),
        ("x = 1", "print([x for x in range(3)])"),
        ("a = b = 3", "def f(a, b):\n    return a + b\nprint(f(1, 2))"),
        ("from sympy import *\nprint(1)", "print(sorted([2]), len([1]))"),
        ("x = 1", "print(1"),
        ("", "print(1)"),
    ],
)
def test_independent_blocks_are_not_replayed(earlier: str, code: str) -> None:
    assert not needed([earlier], code)


@pytest.mark.parametrize(
    ("earlier", "code"),
    [
        ("x = 1", "print(x)"),
        ("x = 1", "x += 1"),
        ("from sympy import *", "print(sqrt(2))"),
        ("from math import *", "from sympy import *\nprint(sqrt(2))"),
        ("from sympy import *", "print(max(1, 2), abs(3))"),
        ("x = 1", "if False:\n    x = 2\nprint(x)"),
        ("x = 1", "for x in []:\n    pass\nprint(x)"),
        ("x = 1", "print(eval('x'))"),
        ("x = 1", "print(len(globals()))"),
        ("import random\nrandom.random()", "import random\nprint(random.random())"),
        ("import math\nmath.pi = 3", "import math\nprint(math.pi)"),
        ("import sympy\nsympy.init_printing()", "import sympy\nprint(sympy.pi)"),
        ("def f():\n    return 1", "print(f())"),
        ("x = 1", "-" * 20000 + "x"),
        ("import m\nm.a.b[0] = 1", "print(1)"),
    ],
)
def test_doubtful_blocks_are_replayed(earlier: str, code: str) -> None:
    assert needed([earlier], code)


def test_scan_of_hostile_text_neither_raises_nor_crashes() -> None:
    for code in (
        "(" * 5000, "-" * 20000 + "1", "x = " + "[" * 150 + "]" * 150, "a." * 5000 + "a",
        "not " * 10000 + "1", "lambda: " * 3000 + "1", "\0", "\ud800", "x" * 16000,
        "1+" * 8000 + "1", "if 1:\n" + "".join(f"{' ' * i}if 1:\n" for i in range(1, 99)),
        "f(" * 199 + ")" * 199, "x = 1 if 1 else " * 2000 + "1", "@a\n" * 3000 + "def f(): 0",
        "if 1:\n 0\n" + "elif 1:\n 0\n" * 2000, "{" * 199 + "}" * 199, "f'{" * 100,
        "0x" + "f" * 9999,
        "*" * 9999, "x = (yield)", "return", "\\\n" * 5000, "a[" * 190 + "]" * 190, "9" * 15000,
    ):  # fmt: skip
        with contextlib.redirect_stderr(io.StringIO()):
            assert needed([code], "print(1)") in (True, False)
            assert needed(["x = 1"], code) in (True, False)
