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
from msgspec import UNSET, UnsetType, inspect

from perenne.core.errors import Invalid
from perenne.formats.nonfinite import quote_nonfinite

T = TypeVar("T", bound="Message")
TAIL = " See the API docs for more information about request parameters."
INT64 = (-(2**63), 2**63 - 1)
MOST_SHOWN = 1_000
"""Characters of a wrong value that its message repeats."""

_NONFINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_INTEGER = re.compile(r"[+-]?\d{1,40}")


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """A message of the protocol. What may be absent, and is then not written, is `UNSET`.

    Attributes
    ----------
    required : tuple of str
        The fields a request must have, and not as an empty text.
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


class WrongValue(Invalid):
    """A parameter of a request is wrong; the message has MLflow's words."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="mlflow.parameter")


def shown(value: object) -> str:
    """Return a value as the messages repeat it: JSON with sorted keys and no spaces.

    >>> shown({"b": 1.5, "a": None})
    '{"a":null,"b":1.5}'
    """
    text = msgspec.json.encode(value, order="sorted").decode() if not isinstance(value, float) else repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def missing(name: str) -> WrongValue:
    """Return what is said of a parameter that is not there."""
    return WrongValue(f"Missing value for required parameter '{name}'.{TAIL}")


def mistyped(name: str, value: object) -> WrongValue:
    """Return what is said of a parameter of the wrong type or out of range."""
    kind = type(value).__name__
    return WrongValue(f"Invalid value {shown(value)} for parameter '{name}' supplied:  Hint: Value was of type '{kind}'.{TAIL}")


class _Wrong(Exception):
    """A value does not have the type of its field."""


class _WrongInside(Exception):
    """A value inside another one does not have the type of its field."""

    def __init__(self, path: str, value: object) -> None:
        self.path = path
        self.value = value


_Read = Callable[[Any], Any]


class Decoder(Generic[T]):
    """Reads requests of one kind.

    Parameters
    ----------
    kind : type
        What they are read into.
    """

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._plain = msgspec.json.Decoder(kind)

    def body(self, body: bytes) -> T:
        """Read a body; an empty one has no fields.

        Raises
        ------
        Invalid
            If it is no JSON object, a field is of another type, or a required one is missing.
        """
        if body:
            try:
                found = self._plain.decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return self.fields(_parse(body))
        else:
            found = self._kind()
        return _complete(found)

    def fields(self, given: Mapping[str, Any]) -> T:
        """Read fields by name. Raises as `body`."""
        reader = _reader(self._kind)
        try:
            return _complete(reader.read(given, outermost=True))  # type: ignore[no-any-return]
        except _WrongInside as error:
            raise mistyped(error.path, error.value) from None

    def query(self, pairs: Iterable[tuple[str, str]]) -> T:
        """Read a query: what is repeated is a list, and the first value counts for what is not. Raises as `body`."""
        return self.fields(_reader(self._kind).from_query(pairs))


def _complete(found: T) -> T:
    for name in found.required:
        value = getattr(found, name)
        if value == "" or value is UNSET:
            if name == "run_id" and (other := getattr(found, "run_uuid", "")):
                found.run_id = other  # type: ignore[attr-defined]
                continue
            raise missing(name)
    return found


def _parse(body: bytes) -> dict[str, Any]:
    """Read JSON that may be written twice, or hold what JSON has no word for."""
    found = _parse_once(body)
    if isinstance(found, str):
        found = _parse_once(found.encode("utf-8", "surrogatepass"))
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Invalid("The body of a request must be a JSON object.", code="mlflow.body")
    return found


def _parse_once(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return msgspec.json.decode(quote_nonfinite(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"The body of a request must be JSON: {str(error)[:200]}", code="mlflow.body") from None


class _Field:
    """One field: its two names, how it is read, and whether it is a list."""

    def __init__(self, name: str, kind: inspect.Type, required: bool) -> None:
        self.name = name
        self.twin = camel_case(name)
        self.required = required
        kind = _without_unset(kind)
        self.repeated = isinstance(kind, inspect.ListType)
        self.boolean = isinstance(kind, inspect.BoolType)
        self.read = _converter(kind)


class _Reader:
    """Reads a message field by field."""

    def __init__(self, kind: type[Message]) -> None:
        described = inspect.type_info(kind)
        assert isinstance(described, inspect.StructType)
        self._kind = kind
        self._fields = [_Field(field.name, field.type, field.name in kind.required) for field in described.fields]

    def read(self, given: Any, *, outermost: bool = False) -> Any:
        """Read a message from an object."""
        if not isinstance(given, dict):
            raise _Wrong
        values = {}
        for field in self._fields:
            value = _given(field, given)
            if outermost and field.required and _is_missing(field.name, given):
                raise missing(field.name)
            if value is None:
                continue
            try:
                values[field.name] = field.read(value)
            except _Wrong:
                raise _WrongInside(field.name, value) from None
            except _WrongInside as error:
                raise _WrongInside(f"{field.name}{error.path}", error.value) from None
        return self._kind(**values)

    def from_query(self, pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """Return the fields a query gives."""
        lists: dict[str, list[str]] = {}
        for name, value in pairs:
            lists.setdefault(name, []).append(value)
        found: dict[str, Any] = {}
        for field in self._fields:
            if (values := lists.get(field.name)) is not None:
                found[field.name] = values if field.repeated else _boolean(values[0]) if field.boolean else values[0]
        return found


@functools.cache
def _reader(kind: type[Message]) -> _Reader:
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
        raise WrongValue(f"Request specifies both '{field.name}' and '{field.twin}'; provide only one of them.")
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
        raise WrongValue(f"Invalid boolean value: {text[:100]}, must be 'true' or 'false'.")
    return text.lower() == "true"


def _without_unset(kind: inspect.Type) -> inspect.Type:
    if isinstance(kind, inspect.UnionType):
        rest = [each for each in kind.types if not (isinstance(each, inspect.CustomType) and each.cls is UnsetType)]
        if len(rest) == 1:
            return rest[0]
        return inspect.AnyType()
    return kind


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
            number = member.number  # type: ignore[attr-defined]
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
            raise _WrongInside(f"[{index}]", item) from None
        except _WrongInside as error:
            raise _WrongInside(f"[{index}]{error.path}", error.value) from None
    return found


def _map(read: _Read, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Wrong
    found = {}
    for name, item in value.items():
        try:
            found[name] = read(item)
        except _Wrong:
            raise _WrongInside(f".{name}", item) from None
        except _WrongInside as error:
            raise _WrongInside(f".{name}{error.path}", error.value) from None
    return found


def _message(kind: type[msgspec.Struct], value: Any) -> Any:
    try:
        return _reader(kind).read(value)
    except _WrongInside as error:
        raise _WrongInside(f".{error.path}", error.value) from None
