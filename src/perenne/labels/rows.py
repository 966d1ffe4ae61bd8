"""Rows of a snapshot as items: an item is named by the content of its key columns, and read again when it is shown."""

import hashlib
import math
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from perenne import data
from perenne.core.errors import Invalid
from perenne.storage.objects import ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa

_MD5 = re.compile(r"[0-9a-f]{32}")
_KEPT_BYTES = 128 * 1024 * 1024
_PLAIN = (str, int, float, bool, type(None))
_encode = msgspec.json.Encoder().encode


class Items(NamedTuple):
    """The items of a table: their ids, their keys as JSON, the row of each, and how many rows repeat one before."""

    ids: list[str]
    keys: list[str]
    rows: list[int]
    duplicates: int


def items_of(table: "pa.Table", keys: Sequence[str]) -> Items:
    """Name the rows of a table by the content of some columns; rows that are the same in them are one item, the first of them.

    Whole numbers are the same whether a column holds decimals or not, so that one missing value does not rename every row. A
    single column of MD5 digests names files: they are the ids.
    """
    seen: dict[str, None] = {}
    texts, rows = [], []
    for row, (identity, text) in enumerate(_identities(table, keys)):
        if identity not in seen:
            seen[identity] = None
            texts.append(text.decode())
            rows.append(row)
    return Items(list(seen), texts, rows, table.num_rows - len(rows))


def ids_of(table: "pa.Table", keys: Sequence[str]) -> list[str]:
    """Return the item of each row of a table. Raises Invalid if a key column is missing."""
    return [identity for identity, _ in _identities(table, keys)]


def _identities(table: "pa.Table", keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    check_columns(table.column_names, {"keys": keys})
    names = _encode(list(keys))
    columns = [[_plain(value) for value in column.to_pylist()] for column in table.select(list(keys)).columns]
    for values in zip(*columns, strict=True):
        text = _encode(values)
        yield _identity(names, values, text), text


def _identity(names: bytes, values: Sequence[Any], text: bytes) -> str:
    if len(values) == 1 and isinstance(values[0], str) and _MD5.fullmatch(values[0]):
        return values[0]
    return hashlib.blake2b(names + text, digest_size=16).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return int(value) if value.is_integer() else value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, bool | int | str) else value.isoformat()


def check_columns(known: Sequence[str], fields: dict[str, Iterable[str]]) -> None:
    """Refuse columns that a table does not have. Raises Invalid with the field."""
    for field, names in fields.items():
        for name in names:
            if name and name not in known:
                raise Invalid(
                    f"{field}: there is no column {name[:100]!r}",
                    code="label.column",
                    hint=f"one of: {', '.join(known)[:300]}",
                )


class _Kept:
    """The tables that were read last, so that the next item is there at once; they are immutable, and few."""

    def __init__(self) -> None:
        self._tables: OrderedDict[tuple[int, str], pa.Table] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, objects: ObjectStore, snapshot: str) -> "pa.Table":
        key = (id(objects), snapshot)
        with self._lock:
            found = self._tables.pop(key, None)
            if found is not None:
                self._tables[key] = found
                return found
        table = data.snapshots.read_snapshot(objects, snapshot)
        with self._lock:
            self._tables[key] = table
            while len(self._tables) > 1 and sum(each.nbytes for each in self._tables.values()) > _KEPT_BYTES:
                self._tables.popitem(last=False)
        return table


_kept = _Kept()


def read_rows(
    objects: ObjectStore, places: Iterable[tuple[str, int]], shown: Sequence[str] = ()
) -> dict[tuple[str, int], dict[str, Any]]:
    """Read some rows of snapshots, of some columns or of all.

    Raises
    ------
    NotFound, Unavailable
        If a snapshot is no longer kept, or damaged.
    """
    import pyarrow as pa

    wanted: dict[str, list[int]] = {}
    for snapshot, row in places:
        wanted.setdefault(snapshot, []).append(row)
    found = {}
    for snapshot, numbers in wanted.items():
        table = _kept.read(objects, snapshot)
        names = [name for name in (shown or table.column_names) if name in table.column_names]
        rows = table.select(names).take(pa.array(numbers, pa.int64())).to_pylist()
        found.update({(snapshot, number): _shown(row) for number, row in zip(numbers, rows, strict=True)})
    return found


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, _PLAIN) else value.isoformat() for name, value in row.items()}
