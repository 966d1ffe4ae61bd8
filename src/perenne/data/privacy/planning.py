"""Where a subject's rows are: every snapshot that has the column is looked into."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from perenne.core.errors import Conflict, Invalid
from perenne.data.model import Snapshot
from perenne.data.privacy.masking import texts_of
from perenne.data.snapshots import fetch_snapshot
from perenne.data.tables import canonical, pc, whole
from perenne.storage.objects import ObjectStore


class Subject(msgspec.Struct, frozen=True):
    """Whose rows: those with a value in a column; `any_case` takes small and capital letters as the same."""

    column: str
    value: str
    any_case: bool = False


class Located(msgspec.Struct, frozen=True):
    """A snapshot that holds rows of the subject: their places from 0, and how many rows there are in all."""

    snapshot: str
    datasets: tuple[str, ...]
    rows: tuple[int, ...]
    total: int


def read_subject(text: str, *, any_case: bool = False) -> Subject:
    """Read a subject written as `column=value`; the first `=` parts them.

    Raises
    ------
    Invalid
        If it is not written so. The message does not repeat it.

    >>> read_subject("mail=a=b@example.org")
    Subject(column='mail', value='a=b@example.org', any_case=False)
    """
    column, sign, value = text.partition("=")
    if not (sign and column and value):
        raise Invalid("subject: it is not written as column=value", code="data.subject", hint="such as: email=ada@example.org")
    return Subject(column, value, any_case)


def locate(objects: ObjectStore, snapshots: Sequence[Snapshot], subject: Subject) -> Iterator[Located]:
    """Look for a subject's rows in snapshots; each is read once, however many data sets it is of."""
    names: dict[str, list[str]] = {}
    for found in snapshots:
        if any(column.name == subject.column for column in found.columns):
            names.setdefault(found.id, []).append(found.dataset)
    for digest, datasets in names.items():
        rows, total = _rows_of(objects, digest, subject)
        if rows:
            yield Located(digest, tuple(sorted(datasets)), rows, total)


def _rows_of(objects: ObjectStore, digest: str, subject: Subject) -> tuple[tuple[int, ...], int]:
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory(prefix="perenne-erasing-") as folder:
        pointed = fetch_snapshot(objects, digest, Path(folder) / "rows")
        table = canonical(pq.read_table(Path(folder) / "rows", columns=[subject.column]))
    texts = texts_of(whole(table.column(0)))
    value = subject.value
    if subject.any_case:
        texts, value = pc.utf8_lower(texts), value.lower()
    matches = np.asarray(pc.fill_null(pc.equal(texts, value), False))
    if pointed and matches.any():
        raise Conflict(
            f"snapshot {digest[:12]} points to rows that lie elsewhere, and {int(matches.sum())} of them are the person's",
            code="data.erase_pinned",
            hint=f"erase them there first; `perenne data show {digest[:12]}` tells where",
        )
    return tuple(np.flatnonzero(matches).tolist()), table.num_rows
