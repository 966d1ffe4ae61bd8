"""The names of results: canonical forms of arguments, the plan key (known before anything runs) and the content key.

Two keys name the same call. The *plan key* goes by what the inputs are made from, the *content key* by the bytes they turned
out to have; so a step whose inputs were made anew and came out the same is not run again.
"""

import dataclasses
import datetime
import decimal
import enum
import functools
import hashlib
import math
import re
import sys
import types
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from perenne.core.hashing import digest_file, key_of
from perenne.pipelines.errors import NotEncodable
from perenne.pipelines.graph import Reference

INLINE = 16 * 1024

Special = Callable[[Any], "Tagged | None"]
"""Gives the canonical form of what only the caller knows: references, functions and classes; None for everything else."""

_PLAIN = (str, int, float, bool, type(None), bytes)
_AS_TEXT = (datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, uuid.UUID, complex, range)


class Tagged:
    """A canonical form that no plain value can be mistaken for."""

    __slots__ = ("parts",)

    def __init__(self, *parts: object) -> None:
        self.parts = parts

    def __perenne_key__(self) -> object:
        return self.parts


def nothing_special(_: Any) -> Tagged | None:
    """Know no special values."""
    return None


def canonical(value: Any, special: Special = nothing_special) -> Any:
    """Return plain values that stand for a value: equal for equal values in any process, different for different ones.

    Arrays go by dtype, shape and bytes, Arrow tables by schema and content, a `Path` by the content of the file or folder.

    Raises
    ------
    NotEncodable
        If the value, or something in it, has no canonical form.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value if kind is not float else _number(value)
    if kind is list or kind is tuple:
        return [canonical(item, special) for item in value]
    if isinstance(value, Mapping):
        return _mapping(value, special)
    if isinstance(value, set | frozenset):
        return Tagged("set", sorted(key_of(canonical(item, special)) for item in value))
    if isinstance(value, enum.Enum):
        return Tagged("enum", kind.__qualname__, special(kind), value.name)
    if isinstance(value, _PLAIN):
        return value if not isinstance(value, float) else _number(value)
    found = special(value)
    return found if found is not None else _canonical_object(value, special)


def _number(value: float) -> Any:
    """Keep -0.0 apart from 0.0, which are one number for `key_of`: a function can tell them apart."""
    return value if value or math.copysign(1.0, value) > 0 else Tagged("negative zero")


def _mapping(value: Mapping[Any, Any], special: Special) -> Any:
    if all(type(name) is str for name in value):
        return {name: canonical(item, special) for name, item in value.items()}
    pairs = [(key_of(canonical(name, special)), canonical(item, special)) for name, item in value.items()]
    return Tagged("mapping", sorted(pairs, key=lambda pair: pair[0]))


def _canonical_object(value: Any, special: Special) -> Any:
    kind = type(value)
    if isinstance(value, Path):
        return _path(value)
    if isinstance(value, _AS_TEXT):
        return Tagged("text", kind.__qualname__, repr(value))
    if isinstance(value, re.Pattern):
        return Tagged("pattern", value.pattern, value.flags)
    if isinstance(value, functools.partial):
        return Tagged("partial", *(canonical(part, special) for part in (value.func, value.args, value.keywords)))
    if isinstance(value, list | tuple):
        return Tagged("sequence", kind.__qualname__, [canonical(item, special) for item in value])
    if isinstance(value, msgspec.Struct):
        fields = [canonical(getattr(value, name), special) for name in value.__struct_fields__]
        return Tagged("struct", kind.__qualname__, special(kind), list(value.__struct_fields__), fields)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = {field.name: canonical(getattr(value, field.name), special) for field in dataclasses.fields(value)}
        return Tagged("dataclass", kind.__qualname__, special(kind), named)
    if hasattr(kind, "__perenne_key__"):
        return Tagged("own", kind.__qualname__, special(kind), canonical(value.__perenne_key__(), special))
    return _library_value(value)


def _library_value(value: Any) -> Any:
    """Encode arrays and tables; a library that is not imported cannot have made the value."""
    numpy, arrow = sys.modules.get("numpy"), sys.modules.get("pyarrow")
    if numpy is not None and isinstance(value, numpy.ndarray | numpy.generic):
        return _array(numpy.asarray(value))
    if arrow is not None and isinstance(value, arrow.Table | arrow.RecordBatch):
        return Tagged("table", arrow_digest(value))
    if isinstance(value, types.ModuleType):
        return Tagged("module", value.__name__)
    raise NotEncodable(
        f"a value of type {type(value).__name__} has no canonical encoding",
        code="key.type",
        hint="pass plain values, Structs, arrays, Arrow tables, Paths or functions, or give the class a method __perenne_key__",
    )


def _array(array: Any) -> Tagged:
    if array.dtype == object:
        return Tagged("objects", list(array.shape), [canonical(item) for item in array.ravel().tolist()])
    data = array.tobytes()
    content = data if len(data) <= INLINE else hashlib.blake2b(data, digest_size=32).digest()
    return Tagged("array", array.dtype.str if array.dtype.names is None else str(array.dtype.descr), list(array.shape), content)


def arrow_digest(table: Any) -> str:
    """Return a digest of an Arrow table's schema and values; how it is cut into chunks does not count."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    whole = pa.Table.from_batches([table]) if isinstance(table, pa.RecordBatch) else table
    with pa.ipc.new_stream(sink, whole.schema) as writer:
        writer.write_table(whole.combine_chunks())
    return hashlib.blake2b(sink.getvalue(), digest_size=32).hexdigest()


def _path(path: Path) -> Tagged:
    """Go by content; the name of a file counts too, because its suffix tells how to read it."""
    if path.is_file():
        return Tagged("file", path.name, digest_file(path))
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return Tagged("folder", [(file.relative_to(path).as_posix(), digest_file(file)) for file in files])
    raise NotEncodable(
        f"{path} does not exist",
        code="key.path",
        hint="a Path stands for the content of a file or folder; pass a place to write to as a str",
    )


class StepKey:
    """What all calls of one step have in common; makes the keys of its calls.

    Parameters
    ----------
    name : str
        The step's name.
    code : str
        The hash of its code.
    environment : str
        The declared environment.
    """

    __slots__ = ("_prefix",)

    def __init__(self, name: str, code: str, environment: str) -> None:
        self._prefix = key_of("step", name, code, environment)

    def call(self, arguments: Mapping[str, str], over: str | None = None) -> str:
        """Return the key of a call, from digests of its arguments by name."""
        named = [text for name in sorted(arguments) for text in (name, arguments[name])]
        return hashlib.blake2b("\0".join((self._prefix, over or "", *named)).encode(), digest_size=16).hexdigest()


def argument_digest(step: str, name: str, value: Any, special: Special, reference: Callable[[Reference], object]) -> str:
    """Return the digest of one argument.

    Parameters
    ----------
    reference : callable
        Gives what stands for a lazy reference.

    Raises
    ------
    NotEncodable
        If it cannot be encoded; the message names the step and the argument.
    """

    def known(item: Any) -> Tagged | None:
        return Tagged("reference", reference(item)) if isinstance(item, Reference) else special(item)

    try:
        return key_of(canonical(value, known))
    except NotEncodable as error:
        raise NotEncodable(f"step {step!r}, argument {name!r}: {error.message}", code=error.code, hint=error.hint) from None
