"""Prediction ids of rows that others answered: made of the row's time and of what names it, so that they are the same again."""

import hashlib
from collections.abc import Iterable

import pyarrow as pa

from perenne.core.ids import encode_id, is_id
from perenne.monitoring.elsewhere.rows import Rows, keys_of

_RANDOM = (1 << 80) - 1


def prediction_ids(deployment: str, rows: Rows) -> list[str]:
    """Return the prediction id of each row, by which labels find it."""
    names, times = rows["id"].to_pylist(), rows["time"].to_pylist()
    keys = keys_of(rows).tolist() if None in names else [0] * len(names)
    return [
        prediction_id(deployment, f"\0{key}" if name is None else name, time)
        for name, key, time in zip(names, keys, times, strict=True)
    ]


def prediction_id(deployment: str, name: str, time: int) -> str:
    """Return the prediction id of what somebody else calls by a name; one that is an id of ours stays.

    >>> prediction_id("churn", "01ARZ3NDEKTSV4RRFFQ69G5FAV-0", 0)
    '01ARZ3NDEKTSV4RRFFQ69G5FAV-0'
    >>> prediction_id("churn", "order 7", 1469922850259000)[:10]
    '01ARZ3NDEK'
    """
    head, _, row = name.rpartition("-")
    if is_id(head) and row.isascii() and row.isdecimal() and len(row) < 10:
        return name
    if is_id(name):
        return f"{name}-0"
    digest = hashlib.blake2b(f"{deployment}\0{name}".encode("utf-8", "surrogatepass"), digest_size=10).digest()
    return f"{encode_id((max(0, time) // 1_000 << 80) | int.from_bytes(digest) & _RANDOM)}-0"


def id_keys(names: Iterable[str]) -> Rows:
    """Return a table of which `keys_of` gives the keys of rows that are named so."""
    texts = pa.array(list(names), pa.string())
    return pa.table({"id": texts, "label": pa.nulls(len(texts), pa.string())})
