"""The files of a run as its screen shows them: folders, and what is in a file: text, JSON, a picture, a table, a page.

A page or a drawing that somebody logged is given with a policy that shuts it in: it has no origin, reaches nothing, and its
scripts run only if somebody asks for that.
"""

import csv
import io
import itertools
import mimetypes
from typing import Any

import msgspec

from perenne.auth.principals import Principal
from perenne.core import json
from perenne.core.errors import Invalid
from perenne.net.streaming import Download
from perenne.storage.blobs import Blobs
from perenne.storage.database import Transaction
from perenne.tracking import artifacts
from perenne.tracking.artifact_model import Artifact

MOST_ENTRIES = 1_000
MOST_ROWS, MOST_COLUMNS = 200, 200
TEXT_BYTES = 256 * 1024
TABLE_BYTES = 32 * 1024 * 1024
"""Only a table that is no larger is opened to be shown."""

_IMAGES = {"png", "jpg", "jpeg", "gif", "webp", "bmp", "ico", "avif", "svg"}
_PAGES = {"html", "htm"}
_SEPARATORS = {"csv": ",", "tsv": "\t"}

STILL = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'self'"
LIVELY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; worker-src blob:; frame-ancestors 'self'"
)


class File(msgspec.Struct, frozen=True):
    """What a folder holds: a file, or another folder."""

    path: str
    is_dir: bool
    size: int | None
    modified: int | None


class Folder(msgspec.Struct, frozen=True):
    """A folder of a run, and whether it holds more than is listed."""

    path: str
    files: tuple[File, ...]
    more: bool


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a file.

    Attributes
    ----------
    kind : str
        text, json, table, image, html; or none, with the `reason` why it cannot be shown.
    text : str
        What it says; `columns` and `rows` of a table.
    truncated : bool
        Whether this is only the beginning.
    total : int or None
        How many rows a table has, if that is known.
    """

    path: str
    kind: str
    size: int
    text: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str | float | bool | None, ...], ...] = ()
    truncated: bool = False
    total: int | None = None
    reason: str = ""


def folder(tx: Transaction, actor: Principal, run: str, path: str) -> Folder:
    """List a folder of a run, folders first. Raises UnknownRun, Invalid."""
    place = artifacts.place_of_run(tx, actor, run, path)
    found = sorted(artifacts.entries(tx, actor, place), key=lambda entry: (not entry.is_dir, entry.name))
    files = (File(entry.path, entry.is_dir, entry.size, entry.modified) for entry in found[:MOST_ENTRIES])
    return Folder(place.path, tuple(files), len(found) > MOST_ENTRIES)


def find(tx: Transaction, actor: Principal, run: str, path: str) -> Artifact:
    """Find a file of a run. Raises UnknownRun, NotFound, Invalid."""
    return artifacts.find(tx, actor, artifacts.place_of_run(tx, actor, run, path))


def preview(blobs: Blobs, file: Artifact) -> Preview:
    """Look into a file."""
    ending = file.path.rpartition(".")[2].lower()
    if ending in _IMAGES:
        return Preview(path=file.path, size=file.size, kind="image")
    if ending == "parquet":
        return _parquet(blobs, file)
    start = artifacts.load(blobs, file, TEXT_BYTES)
    truncated = file.size > len(start)
    text = _text(start, truncated)
    if text is None:
        return Preview(path=file.path, size=file.size, kind="none", reason="It is no text, picture or table.")
    if ending in _SEPARATORS:
        return _separated(file, text, _SEPARATORS[ending], truncated)
    if ending == "json":
        return _json(file, text, truncated)
    kind = "html" if ending in _PAGES else "text"
    return Preview(path=file.path, size=file.size, kind=kind, text=text, truncated=truncated)


def _text(data: bytes, truncated: bool) -> str | None:
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        return data[: error.start].decode() if truncated and error.start > len(data) - 4 else None


def _json(file: Artifact, text: str, truncated: bool) -> Preview:
    """Return a table if it is one as MLflow logs them, with columns and data; else the text."""
    try:
        value = None if truncated else json.decode(text.encode(), dict[str, Any], what="artifact")
    except Invalid:
        value = None
    if value is not None and set(value) == {"columns", "data"} and all(isinstance(part, list) for part in value.values()):
        rows = [row for row in value["data"] if isinstance(row, list)]
        return _table(file, value["columns"], rows[:MOST_ROWS], truncated=len(rows) > MOST_ROWS, total=len(rows))
    return Preview(path=file.path, size=file.size, kind="json", text=text, truncated=truncated)


def _separated(file: Artifact, text: str, separator: str, truncated: bool) -> Preview:
    try:
        rows = list(itertools.islice(csv.reader(io.StringIO(text), delimiter=separator), MOST_ROWS + 2))
    except csv.Error:
        return Preview(path=file.path, size=file.size, kind="text", text=text, truncated=truncated)
    shown = rows[1 : MOST_ROWS + 1]
    return _table(file, rows[0] if rows else [], shown, truncated=truncated or len(rows) > MOST_ROWS + 1)


def _parquet(blobs: Blobs, file: Artifact) -> Preview:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if file.size > TABLE_BYTES:
        reason = f"It is larger than {TABLE_BYTES >> 20} MiB."
        return Preview(path=file.path, size=file.size, kind="none", reason=reason)
    try:
        table = pq.ParquetFile(io.BytesIO(artifacts.load(blobs, file)))
        names = table.schema_arrow.names[:MOST_COLUMNS]
        batch = next(table.iter_batches(MOST_ROWS, columns=names), None)
        rows = [] if batch is None else [list(row.values()) for row in batch.to_pylist()]
        total = table.metadata.num_rows
    except (pa.ArrowException, OSError, ValueError):
        return Preview(path=file.path, size=file.size, kind="none", reason="It is called parquet, and is none.")
    return _table(file, names, rows, truncated=total > len(rows), total=total)


def _table(file: Artifact, columns: list[Any], rows: list[list[Any]], *, truncated: bool, total: int | None = None) -> Preview:
    return Preview(
        path=file.path,
        size=file.size,
        kind="table",
        columns=tuple(str(name) for name in columns[:MOST_COLUMNS]),
        rows=tuple(tuple(map(_cell, row[:MOST_COLUMNS])) for row in rows),
        truncated=truncated,
        total=total,
    )


def _cell(value: Any) -> str | float | bool | None:
    if value is None or isinstance(value, bool | int | str):
        return value if not isinstance(value, int) or isinstance(value, bool) or abs(value) < 1 << 53 else str(value)
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    return str(value)


def sent(file: Artifact, page: str) -> Download:
    """Return how a file is sent: to be saved, or, if `page` says still or scripts, as a page that is shut in."""
    name = file.path.rpartition("/")[2]
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    policy = {"still": STILL, "scripts": LIVELY}.get(page)
    if policy is None and kind == "image/svg+xml":
        return Download(file.blob, file.size, file.modified, name, kind, headers=((b"content-security-policy", STILL.encode()),))
    if policy is None:
        return Download(file.blob, file.size, file.modified, name, kind)
    headers = ((b"content-security-policy", policy.encode()),)
    return Download(file.blob, file.size, file.modified, name, "text/html; charset=utf-8", inline=True, headers=headers)
