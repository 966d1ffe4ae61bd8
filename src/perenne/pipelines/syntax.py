"""Source of functions and classes, without what does not change how they run: comments, docstrings, positions, annotations."""

import ast
import copy
import functools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import NamedTuple, TypeAlias

Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda

_DYNAMIC = {"exec", "eval", "__import__", "import_module"}
_SKIPPED_FIELDS = {"ctx", "kind", "type_comment", "type_params"}


class Import(NamedTuple):
    """An import inside a function: `from module import name as alias`, or `import module as alias` with no name."""

    module: str
    name: str
    level: int
    alias: str


class Uses(NamedTuple):
    """What a definition refers to: chains such as ``("numpy", "mean")``, imports, and calls that hide what they use."""

    chains: tuple[tuple[str, ...], ...]
    imports: tuple[Import, ...]
    dynamic: tuple[str, ...]


class SourceFile:
    """A file of Python, parsed; finds definitions in it and tells whether they are what was loaded."""

    def __init__(self, path: Path) -> None:
        text = path.read_bytes()
        self.tree = ast.parse(text, str(path))
        self._definitions: dict[str, list[Definition]] = {}
        self._index(self.tree, "")
        self._codes: dict[tuple[str, int], list[CodeType]] = {}
        for code in _codes(compile(text, str(path), "exec", dont_inherit=True)):
            self._codes.setdefault((code.co_qualname, code.co_firstlineno), []).append(code)

    def _index(self, node: ast.AST, scope: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = scope
            if isinstance(child, Definition):
                name = scope + getattr(child, "name", "<lambda>")
                self._definitions.setdefault(name, []).append(child)
                inner = name + ("." if isinstance(child, ast.ClassDef) else ".<locals>.")
            self._index(child, inner)

    def function(self, code: CodeType, *, exact: bool = True) -> list[Definition]:
        """Return the definition of loaded code; several lambdas of one line; none if the file has changed since it was loaded.

        Parameters
        ----------
        exact : bool
            Whether the code was compiled from the file as it stands; False where an import hook rewrites what it loads.
        """
        if exact and code not in self._codes.get((code.co_qualname, code.co_firstlineno), ()):
            return []
        found = self._definitions.get(code.co_qualname, [])
        return [node for node in found if _first_line(node) == code.co_firstlineno]

    def class_(self, qualname: str) -> list[Definition]:
        """Return the definitions of a class by its qualified name."""
        return [node for node in self._definitions.get(qualname, []) if isinstance(node, ast.ClassDef)]


_parsing = threading.Lock()  # CPython 3.11 may fail when two threads parse at once (its issue 106905)


@functools.lru_cache(maxsize=1_000)
def _read(path: Path, modified: int, size: int) -> SourceFile:
    with _parsing:
        return SourceFile(path)


def source_file(path: Path) -> SourceFile | None:
    """Return a parsed file, read again only if it changed; None if it is no readable Python."""
    try:
        state = path.stat()
        return _read(path, state.st_mtime_ns, state.st_size)
    except (OSError, SyntaxError, ValueError):
        return None


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _first_line(node: Definition) -> int:
    decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def with_decorators(node: Definition, keep: Callable[[ast.expr], bool]) -> Definition:
    """Return a definition with only some of its decorators."""
    if isinstance(node, ast.Lambda):
        return node
    copied = copy.copy(node)
    copied.decorator_list = [decorator for decorator in node.decorator_list if keep(decorator)]
    return copied


def decorator_chain(decorator: ast.expr) -> tuple[str, ...]:
    """Return the name of a decorator without its call, as a chain of attributes; empty if it is no plain name."""
    return _chain(decorator.func if isinstance(decorator, ast.Call) else decorator) or ()


def dump(node: object, *, signature: bool = False) -> str:
    """Write a definition as text, the same for equal code; with `signature`, annotations of its own parameters count."""
    if isinstance(node, ast.AST):
        fields = [(name, value) for name, value in _fields(node, signature) if value is not None and value != []]
        own = _inside(node, signature)
        inner = ",".join(f"{name}={dump(value, signature=own)}" for name, value in fields)
        return f"{_KIND.get(type(node), type(node).__name__)}({inner})"
    if isinstance(node, list):
        return f"[{','.join(dump(item, signature=signature) for item in node)}]"
    return f"{type(node).__name__}:{node!r}"


def _inside(node: ast.AST, signature: bool) -> bool:
    """Tell whether annotations still count one level down: in the parameters of the outermost function."""
    return signature and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.arguments | ast.arg)


_KIND: dict[type[ast.AST], str] = {ast.AnnAssign: "Assign"}


def _fields(node: ast.AST, signature: bool) -> list[tuple[str, object]]:
    """Return the parts of a node that count. Annotations do in the step's own signature and as fields of a class."""
    if isinstance(node, ast.AnnAssign):
        return [("targets", [node.target]), ("value", node.value)]
    fields = [(name, getattr(node, name, None)) for name in node._fields if name not in _SKIPPED_FIELDS]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
        fields = [(name, _body(node) if name == "body" else value) for name, value in fields]
    if isinstance(node, ast.ClassDef):
        fields.append(("annotations", [item.annotation for item in node.body if isinstance(item, ast.AnnAssign)]))
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.arg) and not signature:
        fields = [(name, value) for name, value in fields if name not in ("returns", "annotation")]
    return fields


def _body(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module) -> list[ast.stmt]:
    body = node.body
    if (
        body
        and isinstance(body[0], ast.Expr)
        and isinstance(body[0].value, ast.Constant)
        and isinstance(body[0].value.value, str)
    ):
        return body[1:]
    return body


def uses(node: ast.AST, *, signature: bool = False) -> Uses:
    """Return what a definition refers to outside itself, over the same parts of it that `dump` writes."""
    finder = _Finder()
    finder.look(node, signature, frozenset())
    return Uses(tuple(sorted(finder.chains)), tuple(sorted(finder.imports)), tuple(sorted(finder.dynamic)))


class _Finder:
    """Walks a definition; `hidden` are the names that are local where it is."""

    def __init__(self) -> None:
        self.chains: set[tuple[str, ...]] = set()
        self.imports: set[Import] = set()
        self.dynamic: set[str] = set()

    def look(self, node: object, signature: bool, hidden: frozenset[str]) -> None:
        """Take in what a node and everything below it refers to."""
        if isinstance(node, list):
            for item in node:
                self.look(item, signature, hidden)
        elif isinstance(node, ast.AST):
            self._look_at(node, signature, hidden)

    def _look_at(self, node: ast.AST, signature: bool, hidden: frozenset[str]) -> None:
        self.imports.update(_imports(node))
        chain = _chain(node)
        if chain is not None:
            if chain[0] not in hidden and _is_read(node):
                self.chains.add(chain)
            return
        if isinstance(node, ast.Call) and (called := _chain(node.func)) and called[-1] in _DYNAMIC:
            self.dynamic.add(f"line {node.lineno}: {called[-1]}() is not followed")
        local = hidden | _bound(node)
        for name, value in _fields(node, signature):
            if isinstance(node, ast.ClassDef) and name == "body":
                self._look_at_class(node, hidden, local)
            else:
                inside = name in _LOCAL_FIELDS.get(type(node), ())
                self.look(value, _inside(node, signature), local if inside else hidden)

    def _look_at_class(self, node: ast.ClassDef, hidden: frozenset[str], local: frozenset[str]) -> None:
        """Names of a class body are known in its statements, but not in its methods."""
        for statement in _body(node):
            self.look(statement, False, hidden if isinstance(statement, Definition) else local)


_COMPREHENSIONS: TypeAlias = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_LOCAL_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {
    ast.FunctionDef: ("body",),
    ast.AsyncFunctionDef: ("body",),
    ast.Lambda: ("body",),
    ast.ListComp: ("elt", "generators"),
    ast.SetComp: ("elt", "generators"),
    ast.GeneratorExp: ("elt", "generators"),
    ast.DictComp: ("key", "value", "generators"),
}


def _bound(node: ast.AST) -> frozenset[str]:
    """Return the names that a function, class or comprehension binds; what it imports is looked up instead."""
    if not isinstance(node, Definition | _COMPREHENSIONS):
        return frozenset()
    names: set[str] = set()
    outer: set[str] = set()
    if not isinstance(node, ast.ClassDef | _COMPREHENSIONS):
        names.update(item.arg for item in ast.walk(node.args) if isinstance(item, ast.arg))
    stack: list[ast.AST] = list(ast.iter_child_nodes(node))
    while stack:
        item = stack.pop()
        if isinstance(item, ast.Name) and not isinstance(item.ctx, ast.Load):
            names.add(item.id)
        elif isinstance(item, ast.Global | ast.Nonlocal):
            outer.update(item.names)
        elif isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(item.name)
            continue
        elif isinstance(item, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and item.name:
            names.add(item.name)
        elif isinstance(item, ast.Lambda | _COMPREHENSIONS):
            continue
        stack.extend(ast.iter_child_nodes(item))
    return frozenset(names - outer)


def _is_read(node: ast.AST) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)


def _chain(node: ast.AST) -> tuple[str, ...] | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return (node.id, *reversed(parts)) if isinstance(node, ast.Name) else None


def _imports(node: ast.AST) -> list[Import]:
    if isinstance(node, ast.Import):
        return [Import(alias.name, "", 0, alias.asname or alias.name.split(".")[0]) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [Import(node.module or "", alias.name, node.level, alias.asname or alias.name) for alias in node.names]
    return []
