"""Where a page of a search ends: a token that says how to go on, opaque to clients, and how many things a page may have.

A token holds the values by which its last row was sorted, so that the next page begins right after it, whatever was added
meanwhile. MLflow's own tokens, ``{"offset": N}``, are taken too. The texts of errors are MLflow's.
"""

import base64
import binascii
from typing import Any, TypeAlias

import msgspec

from perenne.core.errors import Invalid

Value: TypeAlias = str | int | float | bool | None

LONGEST = 128 * 1024
_MOST_BITS = 63
_BODY = msgspec.json.Decoder(dict[str, Any])
_BOUND = {
    "experiment_ids": "Experiment IDs in the page token do not match the requested experiment IDs",
    "filter_string": "Filter string in the page token does not match the requested filter string",
    "order_by": "Order by in the page token does not match the requested order by",
}
"""What MLflow binds tokens of logged models to, and what it says if the next page is asked for with another."""

_BEYOND = "Invalid value {} for parameter 'max_results' supplied. It must be "


class Place(msgspec.Struct, frozen=True):
    """Where a page begins: so many rows on, or right after a row that was sorted by these values; else at the beginning."""

    offset: int = 0
    after: tuple[Value, ...] | None = None


START = Place()


def make_token(after: tuple[Value, ...], query: str) -> str:
    """Return the token of the page that follows a row.

    Parameters
    ----------
    query : str
        What was asked, such as a digest of filter and order: the token is of use for the same question only.
    """
    return base64.b64encode(msgspec.json.encode({"after": after, "query": query})).decode()


def make_offset_token(offset: int) -> str:
    """Return a token as MLflow makes them, for what never changes before the place that is reached."""
    return base64.b64encode(msgspec.json.encode({"offset": offset})).decode()


def read_token(token: str, query: str) -> Place:
    """Read a token; an empty one is the beginning.

    Raises
    ------
    Invalid
        If it is none, or one of another question: `page.token`.

    >>> read_token(make_token((0, 0.5, "x"), "q"), "q").after, read_token("eyJvZmZzZXQiOiAyfQ==", "q").offset
    ((0, 0.5, 'x'), 2)
    """
    if not token:
        return START
    decoded, body = _decoded(token)
    if "offset" in body:
        return Place(offset=_offset(body))
    after, asked = body.get("after"), body.get("query")
    if asked != query or not isinstance(after, list) or not all(_is_value(value) for value in after):
        raise _wrong(f"Invalid page token, decoded value={decoded[:200]!r}")
    return Place(after=tuple(after))


def bind_token(token: str, **said: Any) -> str:
    """Return a token that also holds what was asked, for `check_bound`."""
    return base64.b64encode(msgspec.json.encode(_decoded(token)[1] | said)).decode() if token else ""


def check_bound(token: str, **said: Any) -> None:
    """Refuse a token that holds something else than is asked now.

    Raises
    ------
    Invalid
        With what was expected and what was found: `page.token`.
    """
    body = _decoded(token)[1] if token else {}
    for name, asked in said.items():
        if name in body and body[name] != asked:
            raise _wrong(f"{_BOUND[name]}. Expected: {str(asked)[:500]}. Found: {str(body[name])[:500]}")


def check_limit(value: int, most: int, *, registry: bool = False) -> int:
    """Return how many things a page may have, if that many are allowed.

    Parameters
    ----------
    registry : bool
        Whether the texts are those of MLflow's registry.

    Raises
    ------
    Invalid
        If it is not from 1 to `most`: `page.size`.
    """
    if value < 1:
        raise _too_many(_BEYOND.format(value) + "a positive integer", most)
    if value > most and registry:
        raise _too_many(
            f"Invalid value for request parameter max_results. It must be at most {most}, but got value {value}", most
        )
    if value > most:
        raise _too_many(_BEYOND.format(value) + f"at most {most}", most)
    return value


def _decoded(token: str) -> tuple[bytes, dict[str, Any]]:
    try:
        decoded = base64.b64decode(token[:LONGEST].encode())
    except (binascii.Error, UnicodeEncodeError):
        raise _wrong("Invalid page token, could not base64-decode") from None
    try:
        return decoded, _BODY.decode(decoded)
    except (msgspec.DecodeError, RecursionError):
        raise _wrong(f"Invalid page token, decoded value={decoded[:200]!r}") from None


def _offset(body: dict[str, Any]) -> int:
    given = body["offset"]
    if not given or isinstance(given, bool | list | dict | float):
        raise _wrong(f"Invalid page token, parsed value={body}"[:300])
    try:
        offset = int(str(given)[:20])
    except ValueError:
        raise _wrong(f"Invalid page token, not stringable {given}"[:300]) from None
    if not 0 <= offset.bit_length() <= _MOST_BITS or offset < 0:
        raise _wrong(f"Invalid page token, parsed value={body}"[:300])
    return offset


def _is_value(value: object) -> bool:
    if isinstance(value, str):
        return "\0" not in value
    if isinstance(value, int):
        return value.bit_length() <= _MOST_BITS
    return value is None or isinstance(value, float)


def _wrong(message: str) -> Invalid:
    return Invalid(message, code="page.token", hint="take the token of the page before, and ask the same as there")


def _too_many(message: str, most: int) -> Invalid:
    return Invalid(message, code="page.size", hint=f"from 1 to {most}; the rest comes by page tokens")
