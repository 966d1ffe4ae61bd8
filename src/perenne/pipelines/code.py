"""What code a step runs: its own function and everything of the same project that can be reached from it.

Followed are names in globals, closures, defaults and decorators, attributes of modules, imports inside functions, methods and
bases of classes, partial and wrapped functions; plain constants count by value. Libraries are not followed, only named.
What cannot be seen (`getattr` by a computed name, plug-ins, data files) is told in the notes, or has to be an argument.
"""

import ast
import functools
import hashlib
import importlib
import importlib.util
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

import perenne
from perenne.core.hashing import key_of
from perenne.pipelines import syntax
from perenne.pipelines.errors import NotEncodable
from perenne.pipelines.keys import Tagged, canonical
from perenne.pipelines.steps import Pipeline, Step

_LIBRARY = Path(perenne.__file__).resolve().parent
_SITE = {"site-packages", "dist-packages"}
_NOTHING: Any = object()
_NO_SOURCE = "its source is not at hand, or was changed since it was loaded; its bytecode is used"


class CodeIdentity(msgspec.Struct, frozen=True):
    """The code behind a step.

    Attributes
    ----------
    hash : str
        Part of the step's keys.
    parts : dict
        Hash of each function, class and constant by ``file:name``, the file relative to the project's root.
    notes : tuple of str
        What could not be seen, so that a change there would go unnoticed.
    """

    hash: str
    parts: dict[str, str]
    notes: tuple[str, ...]


class CodeReader:
    """Finds the code behind functions.

    Parameters
    ----------
    root : Path
        The project's folder: code below it is followed; installed packages are not, and neither is perenne. A step that is
        itself part of perenne goes by the whole of perenne's source, because a clone changes without a new version number.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._known: dict[int, tuple[object, CodeIdentity]] = {}

    def identity(self, value: Any) -> CodeIdentity:
        """Return the identity of a function or class."""
        known = self._known.get(id(value))
        if known is None:
            known = self._known[id(value)] = (value, self._read(value))
        return known[1]

    def special(self, value: Any) -> Tagged | None:
        """Give functions and classes a canonical form: the hash of their code, or the name of a library's."""
        value = _unwrap(value)
        if not isinstance(value, type | types.FunctionType | types.BuiltinFunctionType | types.MethodType):
            return None
        if isinstance(value, types.MethodType):
            return Tagged("method", self.special(value.__func__), canonical(value.__self__, self.special))
        return Tagged("code", self.identity(value).hash)

    def _read(self, value: Any) -> CodeIdentity:
        walk, file = _Walk(self.root), _file_of(value)
        target = walk.visit(value, signature=True)
        if file is not None and file.is_relative_to(_LIBRARY):
            for cell in getattr(value, "__closure__", None) or ():
                target = key_of(target, walk.visit(_content(cell)))
            walk.parts["perenne"] = library_digest()
        return CodeIdentity(key_of(target, walk.parts), walk.parts, tuple(walk.notes))


@functools.lru_cache(maxsize=1)
def library_digest() -> str:
    """Return a digest of perenne's own source files."""
    state = hashlib.blake2b(perenne.__version__.encode(), digest_size=16)
    for file in sorted(_LIBRARY.rglob("*.py")):
        state.update(file.relative_to(_LIBRARY).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return state.hexdigest()


class _Walk:
    """One walk over reachable code; `parts` fills up with a hash for each definition and constant."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.parts: dict[str, str] = {}
        self.notes: list[str] = []
        self._seen: dict[int, str] = {}
        self._kept: list[object] = []

    def visit(self, value: Any, *, signature: bool = False, label: str = "") -> str:
        """Add what a value refers to, and return what stands for the value where it is used."""
        value = _unwrap(value)
        if id(value) in self._seen:
            return self._seen[id(value)]
        self._kept.append(value)
        if isinstance(value, types.FunctionType):
            return self._function(value, signature)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, functools.partial):
            return key_of("partial", *(self.visit(part) for part in (value.func, *value.args, *value.keywords.items())))
        if isinstance(value, types.MethodType):
            return key_of("method", self.visit(value.__func__), self.visit(value.__self__))
        if isinstance(value, types.ModuleType):
            return self._module(value)
        if isinstance(value, types.BuiltinFunctionType | types.MethodDescriptorType | types.WrapperDescriptorType):
            return f"{getattr(value, '__module__', '')}.{value.__qualname__}"
        return self._constant(value, label)

    def _mine(self, file: Path | None) -> bool:
        if file is None or not file.is_relative_to(self.home):
            return False
        return not (_SITE & set(file.parts) or file.is_relative_to(_LIBRARY))

    def _name(self, file: Path, qualname: str) -> str:
        return f"{file.relative_to(self.home).as_posix()}:{qualname}"

    def _add(self, value: object, name: str, digest: Callable[[], str]) -> str:
        """Give a definition its name, then its hash: in this order, because it may refer to itself."""
        unique, number = name, 1
        while unique in self.parts:
            unique, number = f"{name}#{number + 1}", number + 1
        self._seen[id(value)] = unique
        self.parts[unique] = ""
        self.parts[unique] = digest()
        return unique

    def _function(self, function: types.FunctionType, signature: bool) -> str:
        file = _file_of(function)
        if file is not None and not self._mine(file):
            wrapped = getattr(function, "__wrapped__", None)
            return f"{function.__module__}.{function.__qualname__}" if wrapped is None else self.visit(wrapped)
        if function.__code__.co_filename.startswith("<frozen"):
            return f"{function.__module__}.{function.__qualname__}"
        source = syntax.source_file(file) if file is not None else None
        nodes = source.function(function.__code__, exact=_is_as_written(function)) if source is not None else []
        name = self._name(file, function.__qualname__) if file is not None else f"?:{function.__qualname__}"
        if not nodes:
            self.notes.append(f"{name}: {_NO_SOURCE}")
            return self._add(function, name, lambda: self._bytecode(function))
        return self._add(function, name, lambda: self._definitions(nodes, name, _Scope(function), signature))

    def _class(self, kind: type) -> str:
        file = _file_of(kind)
        if not (self._mine(file) or _is_interactive(kind)):
            return f"{kind.__module__}.{kind.__qualname__}"
        source = syntax.source_file(file) if file is not None else None
        nodes = source.class_(kind.__qualname__) if source is not None else []
        name = self._name(file, kind.__qualname__) if file is not None else f"?:{kind.__qualname__}"
        members = [_unwrap(member) for member in vars(kind).values()]
        functions = [member for member in members if isinstance(member, types.FunctionType) and _file_of(member) == file]
        fresh = bool(nodes) and source is not None
        for function in functions:
            fresh = fresh and source is not None and bool(source.function(function.__code__, exact=_is_as_written(function)))
        scope = _Scope(functions[0]) if functions else _Scope.of_module(kind.__module__)
        if not fresh:
            self.notes.append(f"{name}: {_NO_SOURCE}")

        def digest() -> str:
            bases = [self.visit(base) for base in (*kind.__bases__, type(kind))]
            body = (
                [self._definitions(nodes, name, scope, signature=False)]
                if fresh
                else [self._bytecode(item) for item in functions]
            )
            return key_of(bases, body)

        return self._add(kind, name, digest)

    def _definitions(self, nodes: list[syntax.Definition], name: str, scope: "_Scope", signature: bool) -> str:
        """Hash definitions together with what the names in them stand for."""
        texts, bound = [], {}
        for node in nodes:
            node = syntax.with_decorators(node, lambda decorator: not self._is_own_decorator(decorator, scope))
            texts.append(syntax.dump(node, signature=signature))
            used = syntax.uses(node, signature=signature)
            scope.add_imports(used.imports, self)
            self.notes.extend(f"{name}, {note}" for note in used.dynamic)
            for chain in used.chains:
                if (found := self._resolve(chain, scope)) is not None:
                    bound[".".join(chain)] = found
        defaults = [self.visit(value) for value in scope.defaults]
        return key_of(texts, bound, defaults)

    def _is_own_decorator(self, decorator: ast.expr, scope: "_Scope") -> bool:
        """Tell `@step` and the like: what they say is part of the key where it matters, and nothing else is."""
        chain = syntax.decorator_chain(decorator)
        value = scope.find(chain[0]) if chain else _NOTHING
        owner = getattr(value, "__name__", "") if isinstance(value, types.ModuleType) else getattr(type(value), "__module__", "")
        if isinstance(value, types.FunctionType | type):
            owner = value.__module__
        return owner == "perenne" or owner.startswith("perenne.")

    def _resolve(self, chain: tuple[str, ...], scope: "_Scope") -> str | None:
        value, rest = scope.find(chain[0]), list(chain[1:])
        if value is _NOTHING:
            return None
        if isinstance(value, str) and value.startswith(_Scope.LIBRARY):
            return ".".join([value, *rest])
        label = self._name(scope.file, chain[0]) if scope.file and self._mine(scope.file) else chain[0]
        while isinstance(value, types.ModuleType) and rest:
            file = _file_of(value)
            if not self._mine(file) and not _is_namespace(value):
                return ".".join([value.__name__, *rest])
            label = self._name(file, rest[0]) if file and self._mine(file) else rest[0]
            value = getattr(value, rest.pop(0), _NOTHING)
        return None if value is _NOTHING else self.visit(value, label=label)

    def _module(self, module: types.ModuleType) -> str:
        file = _file_of(module)
        if not self._mine(file):
            return module.__name__
        assert file is not None
        source = syntax.source_file(file)
        return self._add(module, self._name(file, "*"), lambda: key_of(syntax.dump(source.tree) if source else file.read_bytes()))

    def _constant(self, value: Any, label: str) -> str:
        if isinstance(value, Path):
            value = str(value)
        try:
            digest = key_of(canonical(value, self._special))
        except (NotEncodable, RecursionError):
            return self._object(value, label)
        if not label:
            return digest
        self.parts[label] = digest
        return f"constant {label}"

    def _special(self, value: Any) -> Tagged | None:
        """Stand in for functions and classes inside constants; a Path in the code is a name, not the file behind it."""
        if isinstance(value, Step | Pipeline | type | types.FunctionType | types.BuiltinFunctionType | types.MethodType):
            return Tagged("code", self.visit(value))
        return Tagged("path", str(value)) if isinstance(value, Path) else None

    def _object(self, value: Any, label: str) -> str:
        """Let an object count by its class; its state is seen only as far as its attributes are plain values."""
        kind = self.visit(type(value))
        if not self._mine(_file_of(type(value))):
            return f"object of {kind}"
        state = {}
        for name, item in sorted(getattr(value, "__dict__", {}).items()):
            try:
                state[name] = key_of(canonical(item, self._special))
            except NotEncodable:
                self.notes.append(f"{label or kind}: attribute {name!r} of type {type(item).__name__} is not part of the key")
        return key_of("object", kind, state)

    def _bytecode(self, function: types.FunctionType) -> str:
        scope = _Scope(function)
        names = [name for code in _nested(function.__code__) for name in code.co_names]
        bound = {name: self._resolve((name,), scope) for name in sorted(set(names)) if scope.find(name) is not _NOTHING}
        closure = {name: self._resolve((name,), scope) for name in function.__code__.co_freevars}
        defaults = [self.visit(value) for value in scope.defaults]
        return key_of([_code_key(code) for code in _nested(function.__code__)], bound, closure, defaults)


class _Scope:
    """Where the names of a function are looked up: its own imports, its closure, its module."""

    LIBRARY = "library "

    def __init__(self, function: types.FunctionType | None, namespace: dict[str, Any] | None = None) -> None:
        self._globals = function.__globals__ if function is not None else namespace or {}
        self._names: dict[str, Any] = {}
        self.file = _path(self._globals.get("__file__"))
        self.defaults: list[Any] = []
        if function is not None:
            code = function.__code__
            self.defaults = [
                *(function.__defaults__ or ()),
                *(item for _, item in sorted((function.__kwdefaults__ or {}).items())),
            ]
            for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
                self._names[name] = _content(cell)

    @classmethod
    def of_module(cls, name: str) -> "_Scope":
        """Return the scope of a module's own names."""
        return cls(None, vars(sys.modules[name]) if name in sys.modules else {})

    def find(self, name: str) -> Any:
        """Return what a name stands for; `_NOTHING` for locals and built-ins."""
        return self._names[name] if name in self._names else self._globals.get(name, _NOTHING)

    def add_imports(self, imports: tuple[syntax.Import, ...], walk: _Walk) -> None:
        """Make what a function imports known; modules of the project are loaded for it, libraries only named."""
        for item in imports:
            package = self._globals.get("__package__") or ""
            module = importlib.util.resolve_name("." * item.level + item.module, package) if item.level else item.module
            self._names[item.alias] = _import(module, item.name, walk)


def _import(module: str, name: str, walk: _Walk) -> Any:
    file = _find(module)
    if not walk._mine(file):
        return f"{_Scope.LIBRARY}{module}.{name}" if name else f"{_Scope.LIBRARY}{module}"
    loaded = importlib.import_module(module)
    if not name:
        return sys.modules[module.split(".", maxsplit=1)[0]]
    if hasattr(loaded, name):
        return getattr(loaded, name)
    inner = _find(f"{module}.{name}")
    return importlib.import_module(f"{module}.{name}") if inner is not None else _NOTHING


def _find(module: str) -> Path | None:
    """Return the file of a module, without importing it; None for built-in and unknown ones."""
    if module in sys.modules:
        return _path(getattr(sys.modules[module], "__file__", None))
    top, *rest = module.split(".")
    known = sys.modules.get(top)
    places = getattr(known, "__path__", ()) if known is not None else [str(Path(place, top)) for place in sys.path]
    for place in places:
        base = Path(place, *rest)
        for candidate in (base / "__init__.py", base.with_name(base.name + ".py")):
            if candidate.is_file():
                return candidate.resolve()
    return None


def _unwrap(value: Any) -> Any:
    """Return the function inside a step, a method's descriptor or a caching wrapper."""
    if isinstance(value, Step | Pipeline):
        return value.function
    if isinstance(value, staticmethod | classmethod):
        return value.__func__
    if isinstance(value, property):
        return value.fget
    if isinstance(value, functools.cached_property):
        return value.func
    if not isinstance(value, types.FunctionType | type | types.ModuleType) and isinstance(
        wrapped := getattr(value, "__wrapped__", None), types.FunctionType
    ):
        return wrapped
    return value


def _file_of(value: Any) -> Path | None:
    """Return where a function, class or module was written; None for what was typed in or is built in."""
    value = _unwrap(value)
    if isinstance(value, types.FunctionType):
        return _path(value.__code__.co_filename)
    module = value if isinstance(value, types.ModuleType) else sys.modules.get(getattr(value, "__module__", None) or "")
    return _path(getattr(module, "__file__", None))


@functools.lru_cache(maxsize=10_000)
def _path(name: str | None) -> Path | None:
    if not name or name.startswith("<"):
        return None
    path = Path(name).resolve()
    return path if path.suffix in (".py", ".pyw", "") else None


def _is_as_written(function: types.FunctionType) -> bool:
    """Tell whether a function's module was compiled just as its file has it; test runners and type checkers rewrite some."""
    spec = getattr(sys.modules.get(function.__module__), "__spec__", None)
    loader = getattr(spec, "loader", None)
    return loader is None or type(loader).__module__.startswith(("importlib.", "_frozen_importlib"))


def _is_interactive(kind: type) -> bool:
    """Tell whether a class was typed in or made by `exec`, rather than written in a file or built in."""
    module = sys.modules.get(kind.__module__)
    return module is None or (getattr(module, "__spec__", None) is None and getattr(module, "__file__", None) is None)


def _is_namespace(module: types.ModuleType) -> bool:
    return getattr(module, "__file__", None) is None and hasattr(module, "__path__")


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet bound
        return _NOTHING


def _nested(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _nested(constant)


def _code_key(code: types.CodeType) -> str:
    constants = code.co_consts[1:] if _has_docstring(code) else code.co_consts
    kept = [canonical(constant, _constant_of_code) for constant in constants if not isinstance(constant, types.CodeType)]
    return key_of(code.co_code, list(code.co_names), list(code.co_varnames), kept)


def _has_docstring(code: types.CodeType) -> bool:
    """Tell whether the first constant is the docstring; up to Python 3.12 it always is, or None in its place."""
    return sys.version_info < (3, 13) or bool(code.co_flags & 0x4000000)


def _constant_of_code(value: Any) -> Tagged | None:
    return Tagged("ellipsis") if value is ... else None
