"""Requests of MLflow's clients, read into Structs by the rules of proto2 JSON.

A body in plain form is decoded by msgspec in one step. Whatever that refuses (a name in camelCase, a number in quotes, an enum by
number, a bare `NaN`, a field nobody knows) is read again field by field, which tells what may be written so from what is wrong.
"""

import functools
import math
import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum, StrEnum
from typing import Any, ClassVar, Generic, TypeVar

import msgspec
from msgspec import UNSET, inspect

from perenne.formats.nonfinite import quote_nonfinite
from perenne.protocols.mlflow.wire import MlflowError, missing, mistyped, wrong

T = TypeVar("T", bound=msgspec.Struct)
INT64 = (-(2**63), 2**63 - 1)
_NONFINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_INTEGER = re.compile(r"[+-]?\d{1,40}")


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """A message of the protocol. What may be absent, and is then not written, is `UNSET`.

    Attributes
    ----------
    required : tuple of str
        The fields that a request must have, and not as an empty text, though they have a default.
    """

    required: ClassVar[tuple[str, ...]] = ()


class ProtoEnum(StrEnum):
    """An enum of the protocol: written by name, read by name or number."""

    number: int

    def __new__(cls, name: str, number: int) -> "ProtoEnum":
        """Make a member."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.number = number
        return member


class _Wrong(Exception):
    """A value does not have the type of its field."""


class _WrongAt(Exception):
    """A value at a place does not have the type of its field, or is not there."""

    def __init__(self, path: str, value: object) -> None:
        self.path = path
        self.value = value

    def error(self) -> MlflowError:
        """Return what is said of it."""
        return missing(self.path) if self.value is UNSET else mistyped(self.path, self.value)


_Read = Callable[[Any], Any]


class Decoder(Generic[T]):
    """Reads requests of one kind.

    Parameters
    ----------
    kind : type
        What they are read into. A field without a default is required, as is one named in `required`.
    """

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._plain = msgspec.json.Decoder(kind)
        self._reader = _reader(kind)
        self._required = tuple(field.name for field in self._reader.fields if field.required)
        self._twins = self._reader.twins()

    def body(self, body: bytes) -> T:
        """Read a body; an empty one has no fields.

        Raises
        ------
        MlflowError
            If it is no JSON object, a field is of another type, or a required one is missing.
        """
        if not body:
            return self.fields({})
        try:
            found = self._plain.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self.fields(_parse(body))
        if self._twins and any(twin in body for twin in self._twins):
            return self.fields(_parse(body))
        for name in self._required:
            value = getattr(found, name)
            if value == "" or value is UNSET:
                return self.fields(_parse(body))
        return found

    def fields(self, given: Mapping[str, Any]) -> T:
        """Read fields by name. Raises as `body`."""
        try:
            return self._reader.read(given, outermost=True)  # type: ignore[no-any-return]
        except _WrongAt as wrong_at:
            raise wrong_at.error() from None
        except RecursionError:
            raise wrong("The body of a request is nested too deeply.") from None

    def query(self, pairs: Iterable[tuple[str, str]]) -> T:
        """Read a query: what is repeated is a list, and the first value counts for what is not. Raises as `body`."""
        return self.fields(self._reader.from_query(pairs))


def _parse(body: bytes) -> dict[str, Any]:
    """Read JSON that may be written twice, or hold what JSON has no word for."""
    found = _parse_once(body)
    if isinstance(found, str):
        found = _parse_once(found.encode("utf-8", "surrogatepass"))
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise MlflowError("BAD_REQUEST", "The body of a request must be a JSON object.")
    return found


def _parse_once(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return msgspec.json.decode(quote_nonfinite(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MlflowError("BAD_REQUEST", f"The body of a request must be JSON: {str(error)[:200]}") from None


class _Field:
    """One field: its two names, how it is read, and whether it must be there, and is a list."""

    def __init__(self, described: inspect.Field, required: bool) -> None:
        self.name = described.encode_name
        self.attribute = described.name
        self.twin = camel_case(self.name)
        self.bound = described.required
        self.required = required or self.bound
        kind = _without_unset(described.type)
        self.repeated = isinstance(kind, inspect.ListType | inspect.VarTupleType)
        self.boolean = isinstance(kind, inspect.BoolType)
        self.message = _message_in(kind)
        self.read = _converter(kind)


class _Reader:
    """Reads a message field by field."""

    def __init__(self, kind: type[msgspec.Struct]) -> None:
        described = inspect.type_info(kind)
        assert isinstance(described, inspect.StructType)
        required = getattr(kind, "required", ())
        self._kind = kind
        self._strict = described.forbid_unknown_fields
        self.fields = [_Field(field, field.name in required) for field in described.fields]

    def twins(self) -> tuple[bytes, ...]:
        """Return the other spellings that a plain decoder would take for fields nobody knows, quoted."""
        found: set[str] = set() if self._strict else {field.twin for field in self.fields if field.twin != field.name}
        nested = {twin for field in self.fields if field.message is not None for twin in _reader(field.message).twins()}
        return tuple(sorted(nested | {f'"{twin}"'.encode() for twin in found}))

    def read(self, given: Any, *, outermost: bool = False) -> Any:
        """Read a message from an object."""
        if not isinstance(given, dict):
            raise _Wrong
        values = {}
        for field in self.fields:
            value = _given(field, given)
            if (outermost and field.required and _is_missing(field.name, given)) or (field.bound and value is None):
                raise _WrongAt(field.name, UNSET)
            if value is None:
                continue
            try:
                values[field.attribute] = field.read(value)
            except _Wrong:
                raise _WrongAt(field.name, value) from None
            except _WrongAt as inside:
                raise _WrongAt(f"{field.name}{inside.path}", inside.value) from None
        if outermost and not values.get("run_id") and "run_uuid" in values:
            values["run_id"] = values["run_uuid"]
        return self._kind(**values)

    def from_query(self, pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """Return the fields a query gives."""
        lists: dict[str, list[str]] = {}
        for name, value in pairs:
            lists.setdefault(name, []).append(value)
        found: dict[str, Any] = {}
        for field in self.fields:
            if (values := lists.get(field.name)) is not None:
                found[field.name] = values if field.repeated else _boolean(values[0]) if field.boolean else values[0]
        return found


@functools.cache
def _reader(kind: type[msgspec.Struct]) -> _Reader:
    return _Reader(kind)


def _is_missing(name: str, given: Mapping[str, Any]) -> bool:
    """Tell whether a required field is not there; the twin in camelCase does not count."""
    value = given.get(name)
    if name == "run_id" and value is None:
        value = given.get("run_uuid")
    return value is None or value == ""


def _given(field: _Field, given: Mapping[str, Any]) -> Any:
    if field.twin == field.name or field.twin not in given:
        return given.get(field.name)
    if field.name in given:
        raise wrong(f"Request specifies both '{field.name}' and '{field.twin}'; provide only one of them.")
    return given[field.twin]


def camel_case(name: str) -> str:
    """Return the other spelling of a field.

    >>> camel_case("run_id"), camel_case("key")
    ('runId', 'key')
    """
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise wrong(f"Invalid boolean value: {text[:100]}, must be 'true' or 'false'.")
    return text.lower() == "true"


def _without_unset(kind: inspect.Type) -> inspect.Type:
    """Return what a field holds if it holds something."""
    if isinstance(kind, inspect.UnionType):
        rest = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
        return rest[0] if len(rest) == 1 else inspect.AnyType()
    return kind


def _message_in(kind: inspect.Type) -> type[msgspec.Struct] | None:
    """Return the message that a field is, or has in a list or map."""
    match kind:
        case inspect.StructType():
            return kind.cls
        case inspect.ListType() | inspect.VarTupleType():
            return _message_in(_without_unset(kind.item_type))
        case inspect.DictType():
            return _message_in(_without_unset(kind.value_type))
        case _:
            return None


def _converter(kind: inspect.Type) -> _Read:
    """Return how a value of a type is read."""
    match kind:
        case inspect.StrType():
            return _text
        case inspect.IntType():
            return functools.partial(_integer, least=kind.ge, most=kind.le)
        case inspect.FloatType():
            return _double
        case inspect.BoolType():
            return _flag
        case inspect.EnumType():
            return functools.partial(_member, kind.cls)
        case inspect.ListType():
            return functools.partial(_list, _converter(_without_unset(kind.item_type)))
        case inspect.VarTupleType():
            read = functools.partial(_list, _converter(_without_unset(kind.item_type)))
            return lambda value: tuple(read(value))
        case inspect.DictType():
            return functools.partial(_map, _converter(_without_unset(kind.value_type)))
        case inspect.StructType():
            return functools.partial(_message, kind.cls)
        case inspect.RawType():
            return lambda value: msgspec.Raw(msgspec.json.encode(value))
        case _:
            return lambda value: value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Wrong
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Wrong
    return value


def _integer(value: Any, least: int | None, most: int | None) -> int:
    if isinstance(value, bool):
        raise _Wrong
    if (isinstance(value, str) and _INTEGER.fullmatch(value)) or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    low, high = INT64[0] if least is None else least, INT64[1] if most is None else most
    if not isinstance(value, int) or not low <= value <= high:
        raise _Wrong
    return value


def _double(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _Wrong
    if isinstance(value, str):
        if value in _NONFINITE:
            return _NONFINITE[value]
        if len(value) > 400 or not _NUMBER.fullmatch(value):
            raise _Wrong
    try:
        return float(value)
    except OverflowError:
        raise _Wrong from None


def _member(kind: type[Enum], value: Any) -> Enum:
    if isinstance(value, str) and value in kind.__members__:
        return kind[value]
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        for member in kind:
            number = getattr(member, "number", member.value)
            if number == value or str(number) == value:
                return member
    raise _Wrong


def _list(read: _Read, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _Wrong
    found = []
    for index, item in enumerate(value):
        try:
            found.append(read(item))
        except _Wrong:
            raise _WrongAt(f"[{index}]", item) from None
        except _WrongAt as inside:
            raise _WrongAt(f"[{index}]{inside.path}", inside.value) from None
    return found


def _map(read: _Read, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Wrong
    found = {}
    for name, item in value.items():
        try:
            found[name] = read(item)
        except _Wrong:
            raise _WrongAt(f".{name}", item) from None
        except _WrongAt as inside:
            raise _WrongAt(f".{name}{inside.path}", inside.value) from None
    return found


def _message(kind: type[msgspec.Struct], value: Any) -> Any:
    try:
        return _reader(kind).read(value)
    except _WrongAt as inside:
        raise _WrongAt(f".{inside.path}", inside.value) from None
