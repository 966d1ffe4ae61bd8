"""Carrying a step out in another process: code goes by name and hash, arguments by reference, nothing as a pickle.

What is sent is MessagePack with these extensions beside those of `perenne.pipelines.artifacts`:

======= =============================================
code    stands for
======= =============================================
20      a kept result, or a part of it
21      a function or class, by name
22      a `Path`, where the other process sees the same files
23      a value of a type of its own: Struct, date, …
24, 25  a tuple, a set
======= =============================================
"""

import functools
import importlib
import importlib.util
import sys
import threading
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from perenne.compute.calls import report
from perenne.core.errors import Conflict, NotFound, Unavailable
from perenne.pipelines.artifacts import Artifacts, Output
from perenne.pipelines.calls import Outcome, perform
from perenne.pipelines.code import CodeReader
from perenne.pipelines.context import StepContext
from perenne.pipelines.errors import NotEncodable
from perenne.pipelines.graph import Reference, select_path
from perenne.pipelines.scratch import Scratch
from perenne.pipelines.steps import Pipeline, Step
from perenne.storage.objects import open_objects

RESULT, CODE, PATH, TYPED, TUPLE, SET = 20, 21, 22, 23, 24, 25

_encode = msgspec.msgpack.Encoder().encode


class CodeName(msgspec.Struct, frozen=True, array_like=True):
    """A function or class: where it is found, and the hash of its code, empty for what is not checked."""

    module: str
    qualname: str
    file: str
    hash: str = ""


class Sent(msgspec.Struct, frozen=True, array_like=True):
    """A kept result: the key of its step, the step for its return annotation, and which part of it is meant."""

    key: str
    step: CodeName
    mapped: bool
    output: Output
    path: tuple[str | int, ...]


class StepCall(msgspec.Struct, frozen=True, array_like=True):
    """Everything another process needs to carry out a step.

    Attributes
    ----------
    work, kept : str
        Folders for what the step writes and for kept files; empty if the process may not see the caller's files: it then makes
        its own, and removes them afterwards.
    """

    step: CodeName
    arguments: bytes
    run: str
    label: str
    key: str
    objects: str
    work: str
    kept: str
    root: str


class StepAnswer(msgspec.Struct, frozen=True, array_like=True):
    """What comes back: an outcome, or the key of the step whose result could not be read."""

    outcome: Outcome | None
    damaged: str = ""


def code_name(value: Any, code: CodeReader | None = None) -> CodeName:
    """Name a function, class or step.

    Raises
    ------
    NotEncodable
        If another process could not find it by that name.
    """
    value = value.function if isinstance(value, Step | Pipeline) else value
    module = sys.modules.get(value.__module__)
    if module is None or "<" in value.__qualname__:
        raise NotEncodable(
            f"{value.__qualname__} cannot be found by another process",
            code="pipelines.isolate",
            hint="define it at the top level of a file",
        )
    file = getattr(module, "__file__", None) or ""
    return CodeName(value.__module__, value.__qualname__, file, code.identity(value).hash if code is not None else "")


class Packer:
    """Encodes the arguments of a call.

    Parameters
    ----------
    sent : callable
        Says what a lazy reference stands for.
    shares_files : bool
        Whether a path means the same to the other process; otherwise the file or folder itself goes through the store.
    """

    def __init__(self, artifacts: Artifacts, code: CodeReader, sent: Callable[[Reference], Sent], shares_files: bool) -> None:
        self._artifacts = artifacts
        self._code = code
        self._sent = sent
        self._shares_files = shares_files

    def pack(self, arguments: Mapping[str, Any]) -> bytes:
        """Return the encoded arguments. Raises NotEncodable if one of them cannot be sent."""
        return _encode({name: self._plain(value) for name, value in arguments.items()})

    def _plain(self, value: Any) -> Any:
        kind = type(value)
        if kind in (str, int, float, bool, type(None), bytes):
            return value
        if kind is list:
            return [self._plain(item) for item in value]
        if kind is dict:
            return {name: self._plain(item) for name, item in value.items()}
        if kind is tuple or kind in (set, frozenset):
            return msgspec.msgpack.Ext(TUPLE if kind is tuple else SET, _encode([self._plain(item) for item in value]))
        return self._extension(value)

    def _extension(self, value: Any) -> Any:
        if isinstance(value, Reference):
            return msgspec.msgpack.Ext(RESULT, _encode(self._sent(value)))
        if isinstance(value, Step | Pipeline | type | types.FunctionType | types.BuiltinFunctionType):
            return msgspec.msgpack.Ext(CODE, _encode(code_name(value, self._code)))
        if isinstance(value, Path) and self._shares_files:
            return msgspec.msgpack.Ext(PATH, str(value.absolute()).encode())
        found = self._artifacts.extension(value)
        if found is not None:
            return found
        data = msgspec.msgpack.encode(value, enc_hook=self._extension)
        return msgspec.msgpack.Ext(TYPED, _encode((code_name(type(value)), data)))


class _Unreadable(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class Unpacker:
    """Decodes the arguments of a call."""

    def __init__(self, artifacts: Artifacts, code: CodeReader) -> None:
        self._artifacts = artifacts
        self._code = code

    def unpack(self, data: bytes | memoryview) -> Any:
        """Return the arguments; results are read from the store."""
        return msgspec.msgpack.decode(data, ext_hook=self._extension)

    def _extension(self, code: int, data: memoryview) -> Any:
        match code:
            case 20:
                return self._result(msgspec.msgpack.decode(data, type=Sent))
            case 21:
                return find(msgspec.msgpack.decode(data, type=CodeName), self._code)
            case 22:
                return Path(bytes(data).decode())
            case 23:
                name, value = msgspec.msgpack.decode(data, type=tuple[CodeName, bytes])
                return msgspec.msgpack.decode(value, type=find(name), ext_hook=self._extension, dec_hook=lambda _, item: item)
            case 24:
                return tuple(self.unpack(data))
            case 25:
                return set(self.unpack(data))
            case _:
                return self._artifacts.read_part(code, data)

    def _result(self, sent: Sent) -> Any:
        returns = find(sent.step).returns
        try:
            if not sent.mapped:
                return select_path(sent.path, self._artifacts.load(sent.output, returns))
            outputs = self._artifacts.load(sent.output, list[Output])
            return select_path(sent.path, [self._artifacts.load(output, returns) for output in outputs])
        except (NotFound, Unavailable) as error:
            raise _Unreadable(sent.key) from error


_loading = threading.Event()


def is_loading() -> bool:
    """Tell whether this process is just importing the file of a step that it shall carry out."""
    return _loading.is_set()


def find(name: CodeName, code: CodeReader | None = None) -> Any:
    """Return the function, class or step of a name; its module is imported, or loaded from its file.

    Raises
    ------
    Conflict
        If its code is not what the sender's was.
    """
    _loading.set()
    try:
        value: Any = _module(name)
    finally:
        _loading.clear()
    for part in name.qualname.split("."):
        value = getattr(value, part)
    value = _declared(value, name)
    if code is not None and name.hash and code.identity(value.function if isinstance(value, Step) else value).hash != name.hash:
        raise Conflict(
            f"{name.qualname} has changed since the run began", code="pipelines.code_changed", hint="start the run again"
        )
    return value


def _declared(value: Any, name: CodeName) -> Any:
    """Return the function that was sent, if a decorator put an object of its own in its place, as a project's models are."""
    function = getattr(value, "function", None)
    inside = isinstance(function, types.FunctionType) and function.__qualname__ == name.qualname
    return function if inside and not isinstance(value, Step | Pipeline) else value


def _module(name: CodeName) -> types.ModuleType:
    alias = "__perenne_main__" if name.module == "__main__" else name.module
    if alias in sys.modules:
        return sys.modules[alias]
    known = None
    try:
        known = importlib.util.find_spec(alias)
    except (ImportError, ValueError):
        known = None
    if known is not None:
        return importlib.import_module(alias)
    spec = importlib.util.spec_from_file_location(alias, name.file)
    if spec is None or spec.loader is None:
        raise NotFound(
            f"module {name.module} cannot be found",
            code="pipelines.module",
            hint="steps of other machines lie in modules of the project's folder",
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[alias] = module
    spec.loader.exec_module(module)
    return module


@functools.lru_cache(maxsize=8)
def _reader(root: str) -> CodeReader:
    """Return the reader of a root, kept: what is loaded in this process stays what it is."""
    return CodeReader(Path(root))


def carry_out(data: bytes) -> bytes:
    """Carry out a `StepCall` in this process, and return the `StepAnswer`. Called by name in a worker."""
    call = msgspec.msgpack.decode(data, type=StepCall)
    if call.root not in sys.path:
        sys.path.insert(0, call.root)
    own = Scratch()
    artifacts = Artifacts(open_objects(call.objects), lambda: Path(call.kept) if call.kept else own.folder("kept"))
    code = _reader(call.root)
    step: Step[..., Any] = find(call.step, code)
    context = StepContext(
        call.run,
        call.label,
        call.key,
        lambda: Path(call.work) if call.work else own.folder("work"),
        artifacts.objects,
        lambda text, done: report([text, done]),
    )
    try:
        outcome = perform(step, lambda: Unpacker(artifacts, code).unpack(call.arguments), context, artifacts)
    except _Unreadable as unreadable:
        return _encode(StepAnswer(None, unreadable.key))
    finally:
        own.remove()
    return _encode(StepAnswer(outcome))
