"""Windows of a list: where one begins and how many rows it has, as a query says it."""

from collections.abc import Mapping

import msgspec

from perenne.core.errors import Invalid

ROWS = 200
"""At most so many rows come at once, and so many if nothing is said."""

_DIGITS = 9


class Page(msgspec.Struct, frozen=True):
    """A window of a list: the rows passed over, and the rows shown."""

    offset: int = 0
    limit: int = ROWS


def page_of(query: Mapping[str, str]) -> Page:
    """Read `offset` and `limit` of a query; a limit above 200 is 200.

    Raises
    ------
    Invalid
        If one of them is no number.

    >>> page_of({"offset": "400", "limit": "50"}), page_of({})
    (Page(offset=400, limit=50), Page(offset=0, limit=200))
    """
    return Page(_number(query, "offset", 0), max(1, min(_number(query, "limit", ROWS), ROWS)))


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        raise Invalid(f"{name} is {text[:40]!r}, which is no number of rows", code="request.query", hint="a whole number")
    return int(text)
