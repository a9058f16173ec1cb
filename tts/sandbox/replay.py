"""Does a block of code see what earlier blocks left behind? A cautious static answer.

Replaying costs time; not replaying where it was needed changes a result. So every doubt counts as
yes: a name that might be read before this block binds it, a star import, code that looks up names
at run time, and earlier blocks that changed state shared through modules.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Sequence
from contextlib import suppress

from .parsing import parse

_BUILTINS = frozenset(dir(builtins)) | {"exit", "quit", "__name__", "__builtins__"}
_LOOKS_UP_NAMES = frozenset(
    """
    exec eval globals locals vars dir compile __import__ input breakpoint __main__
    """.split()  # noqa: SIM905
)
# Calls that change what an unrelated block would print.
_CHANGES_SHARED_STATE = frozenset(
    """
    seed setrecursionlimit set_int_max_str_digits getcontext setcontext prec dps workdps mp
    set_printoptions seterr init_printing init_session setattr delattr simplefilter
    filterwarnings reload modules path register builtins __builtins__ displayhook excepthook
    settrace setprofile setlocale setitimer alarm signal clear_cache stdout stderr evaluate
    putenv environ chdir sympify_converters random shuffle choice choices sample randint
    randrange uniform rand randn gauss normalvariate default_rng permutation patch
    update_wrapper __dict__ __setattr__
    """.split()  # noqa: SIM905
)


def needed(earlier: Sequence[str], code: str) -> bool:
    """Whether `code` might behave differently after the blocks `earlier` than without them."""
    past = []
    try:
        for block in earlier:
            with suppress(SyntaxError):  # it bound nothing
                past.append(parse(block))
        return bool(past) and _needed(past, parse(code))
    except SyntaxError:
        return False  # it fails the same way with any past
    except (ValueError, RecursionError, MemoryError):
        return True


def _needed(past: Sequence[ast.Module], tree: ast.Module) -> bool:
    if _identifiers(tree) & _LOOKS_UP_NAMES:
        return True
    if any(_identifiers(block) & _CHANGES_SHARED_STATE or _patches(block) for block in past):
        return True
    reader = _Reader()
    reader.block(tree.body)
    stars = set().union(*(_star_modules(block) for block in past))
    if reader.free & set().union(*(_bound_names(block) for block in past)):
        return True
    # A star import may have bound any name that nothing else explains.
    return bool(stars - _star_modules(tree) and reader.free - _BUILTINS) or bool(
        stars and reader.free & _BUILTINS - _COMMON_BUILTINS
    )


# Builtins that a star import from the mathematics packages does not replace in an unexpected way.
_COMMON_BUILTINS = _BUILTINS - {"abs", "all", "any", "max", "min", "pow", "round", "sum", "divmod"}


def _identifiers(tree: ast.Module) -> set[str]:
    """All names, attribute names and imported modules' names in `tree`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.alias):
            found.update(node.name.split("."))
    return found


def _patches(tree: ast.Module) -> bool:
    """Whether it assigns to attributes of something it imported."""
    imported = {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    return any(
        isinstance(node, ast.Attribute | ast.Subscript)
        and not isinstance(node.ctx, ast.Load)
        and _root(node) in imported
        for node in ast.walk(tree)
    )


def _root(node: ast.expr) -> str | None:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _star_modules(tree: ast.Module) -> set[str]:
    """Modules whose names are all imported at the top of `tree`."""
    return {
        str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
    }


def _bound_names(tree: ast.Module) -> set[str]:
    """All names that any scope of `tree` binds; those of inner scopes are harmless extras."""
    found: set[str] = set()
    for node in ast.walk(tree):
        found.update(_binds(node))
    return found


def _binds(node: ast.AST) -> Iterable[str]:
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        return (node.id,)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return (node.name,)
    if isinstance(node, ast.alias):
        return ((node.asname or node.name).partition(".")[0],)
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        return (node.name,)
    if isinstance(node, ast.MatchMapping) and node.rest:
        return (node.rest,)
    if isinstance(node, ast.Global | ast.Nonlocal):
        return node.names
    return ()


class _Reader:
    """Collects the names that a block may read before it has bound them itself."""

    def __init__(self) -> None:
        self.free: set[str] = set()
        self._bound: set[str] = set()

    def block(self, statements: Sequence[ast.stmt]) -> None:
        """Read statements in order; only plain ones bind for certain."""
        for statement in statements:
            self._statement(statement)

    def _statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.For):
            self._read(node.iter)
            self._inside([node.target, *node.body], node.orelse)
        elif isinstance(node, ast.If):
            self._read(node.test)
            self._branches(node.body, node.orelse)
        elif isinstance(node, ast.While):
            self._read(node.test)
            self._inside(node.body, node.orelse)
        elif isinstance(node, ast.With):
            for item in node.items:
                self._read(item.context_expr)
                if item.optional_vars is not None:
                    self._target(item.optional_vars)
            self.block(node.body)
        elif isinstance(node, ast.Assign):
            self._read(node.value)
            for target in node.targets:
                self._target(target)
        elif isinstance(node, ast.AnnAssign):
            self._read(node.annotation)
            if node.value is not None:
                self._read(node.value)
                self._target(node.target)
        elif isinstance(node, ast.AugAssign):
            self._read(node)
            self._target(node.target)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                self._bound.update(_binds(alias))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            # Its body runs later, or now, for a class; assume the worst of the two.
            self._bound_during({node.name}, node)
            self._bound.add(node.name)
        else:
            self._read(node)

    def _bound_during(self, names: set[str], node: ast.AST) -> None:
        before = set(self._bound)
        self._bound |= names
        self._read(node)
        self._bound = before

    def _inside(self, body: Sequence[ast.AST], orelse: Sequence[ast.stmt]) -> None:
        """A loop's body binds for itself only: it may run zero times."""
        before = set(self._bound)
        for node in body:
            if isinstance(node, ast.stmt):
                self._statement(node)
            elif isinstance(node, ast.expr):
                self._target(node)
        self._bound = set(before)
        self.block(orelse)
        self._bound = before

    def _branches(self, body: Sequence[ast.stmt], orelse: Sequence[ast.stmt]) -> None:
        before = set(self._bound)
        self.block(body)
        after_body = self._bound
        self._bound = before
        self.block(orelse)
        self._bound &= after_body

    def _target(self, node: ast.expr) -> None:
        """Bind the names of an assignment's left side; read what it only passes through."""
        for child in ast.walk(node):
            if isinstance(child, ast.Name):
                if isinstance(child.ctx, ast.Store):
                    self._bound.add(child.id)
                else:
                    self._name(child.id)

    def _name(self, name: str) -> None:
        if name not in self._bound:
            self.free.add(name)

    def _read(self, node: ast.AST) -> None:
        """Every name below `node` that is not bound by now, nor by a scope of its own inside it."""
        local: set[str] = set()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            arguments = node.args
            every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
            local = {argument.arg for argument in every}
            local |= {a.arg for a in (arguments.vararg, arguments.kwarg) if a is not None}
            for default in (*arguments.defaults, *filter(None, arguments.kw_defaults)):
                self._read(default)
            if not isinstance(node, ast.Lambda):
                local |= _assigned_in(node)
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            self._read(node.generators[0].iter)
            targets = (generator.target for generator in node.generators)
            local = {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            self._name(node.target.id)  # it is only marked as stored
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Store):
                self._name(node.id)
            return
        before = set(self._bound)
        self._bound |= local
        for child in ast.iter_child_nodes(node):
            self._read(child)
        self._bound = before


def _assigned_in(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Names local to a function: bound somewhere in it and not declared global."""
    declared: set[str] = set()
    names: set[str] = set()
    for statement in function.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Global | ast.Nonlocal):
                declared.update(node.names)
            else:
                names.update(_binds(node))
    return names - declared
