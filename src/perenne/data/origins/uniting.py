"""One table of several: columns are joined by name, a column that a part lacks is missing there, and types must agree."""

from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa

from perenne.data.spooling import Spool


class Part(NamedTuple):
    """A table and what error messages call it."""

    name: str
    table: pa.Table


def unite(parts: Iterable[Part]) -> pa.Table:
    """Put tables below one another, each when it comes; see `perenne.data.spooling`.

    Raises
    ------
    Invalid
        If a column is of two types that do not go together; the message names it and both parts.
    """
    with Spool() as spool:
        for part in parts:
            spool.add(part.name, part.table)
        return spool.table()
