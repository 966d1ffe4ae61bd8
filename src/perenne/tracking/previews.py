"""What the viewer shows of artifacts: a folder of a run, and the beginning of a file as text, table or picture."""

import contextlib
import csv
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from perenne.auth.principals import Principal
from perenne.core import json
from perenne.core.paging import ROWS, Page
from perenne.storage.blobs import Blobs
from perenne.storage.transaction import Transaction
from perenne.tracking import artifacts
from perenne.tracking.artifact_model import Artifact, Entry

SHOWN = 256 << 10
"""Bytes of a text that are shown."""

LARGEST_TABLE = 1 << 30
MOST_COLUMNS, LONGEST_CELL = 500, 1_000
IMAGES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}
IMAGES |= {"svg": "image/svg+xml", "bmp": "image/bmp", "avif": "image/avif"}
_SEPARATORS = {"csv": ",", "tsv": "\t"}


class ArtifactFolder(msgspec.Struct, frozen=True):
    """A folder among the artifacts of a run.

    Attributes
    ----------
    entries : tuple of Entry
        A window of what it holds, by name: `path` below the run's root, `is_dir`, and of files `size` in bytes and `modified` in
        microseconds since 1970.
    total : int
        How many entries there are.
    files, size : int
        How many files the whole run has, and their bytes.
    """

    run: str
    path: str
    location: str
    entries: tuple[Entry, ...]
    total: int
    files: int
    size: int


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """The beginning of a file.

    Attributes
    ----------
    kind : str
        `text`, `json`, `markdown`, `html` (show it in a sandbox only), `table`, `image` (fetch it from the route `raw`),
        `empty` or `binary` (there is nothing to show).
    text : str
        Of text, JSON, Markdown and HTML: the first 256 KiB.
    truncated : bool
        Whether there is more than is shown here.
    columns, rows
        Of a table: names, and a window of rows as texts, None for what is missing.
    offset : int
        How many rows come before the window.
    total : int or None
        How many rows the table has, if that is known without reading all of it.
    """

    path: str
    size: int
    modified: int
    kind: str
    text: str = ""
    truncated: bool = False
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str | None, ...], ...] = ()
    offset: int = 0
    total: int | None = None


def folder(tx: Transaction, actor: Principal, run: str, path: str, page: Page) -> ArtifactFolder:
    """Read a window of a folder of a run. Raises NotFound if there is no such run, Invalid if the path is none."""
    place = artifacts.place_of_run(tx, actor, run, path)
    found = artifacts.entries(tx, actor, place)
    files, size = artifacts.total(tx, place.root)
    window = tuple(found[page.offset : page.offset + page.limit])
    return ArtifactFolder(run, place.path, f"mlflow-artifacts:/{place.root}", window, len(found), files, size)


def preview(blobs: Blobs, artifact: Artifact, page: Page) -> Preview:
    """Read what is shown of a file; of a table the rows of a window, at most 200."""
    ending = _ending(artifact.path)
    if not artifact.size:
        return _preview(artifact, "empty")
    if ending in IMAGES:
        return _preview(artifact, "image")
    if ending == "parquet":
        return _parquet(blobs, artifact, page) or _preview(artifact, "binary")
    start = artifacts.load(blobs, artifact, SHOWN)
    text = _decoded(start, whole=len(start) == artifact.size)
    if text is None:
        return _preview(artifact, "binary")
    truncated = len(start) < artifact.size
    table = _table(artifact, ending, text, page, truncated=truncated)
    if table is not None:
        return table
    kind = {"json": "json", "md": "markdown", "html": "html", "htm": "html"}.get(ending, "text")
    return _preview(artifact, kind, text=text, truncated=truncated)


def _ending(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[2].lower()


def _preview(artifact: Artifact, kind: str, **more: Any) -> Preview:
    return Preview(path=artifact.path, size=artifact.size, modified=artifact.modified, kind=kind, **more)


def _decoded(data: bytes, *, whole: bool) -> str | None:
    """Return the text that bytes are, None if they are none; a character that is cut at the end is left out."""
    if b"\0" in data:
        return None
    with contextlib.suppress(UnicodeDecodeError):
        return data.decode()
    for cut in range(1, 4) if not whole else ():
        with contextlib.suppress(UnicodeDecodeError):
            return data[:-cut].decode()
    return None


def _table(artifact: Artifact, ending: str, text: str, page: Page, *, truncated: bool) -> Preview | None:
    if ending in _SEPARATORS:
        return _separated(artifact, text, _SEPARATORS[ending], page, truncated=truncated)
    if ending == "json" and not truncated:
        return _split(artifact, text, page)
    return None


def _separated(artifact: Artifact, text: str, separator: str, page: Page, *, truncated: bool) -> Preview | None:
    """Read the lines that are shown as a table; the last one, if it may be cut, is left out."""
    try:
        lines = list(csv.reader(io.StringIO(text), delimiter=separator))
    except csv.Error:
        return None
    if truncated and len(lines) > 1:
        lines.pop()
    if not lines or len(lines[0]) > MOST_COLUMNS:
        return None
    rows = [tuple(_cell(value) for value in line) for line in lines[1:]]
    return _shown(artifact, tuple(lines[0]), rows, page, truncated=truncated)


def _split(artifact: Artifact, text: str, page: Page) -> Preview | None:
    """Read a table as MLflow's `log_table` writes it: `{"columns": […], "data": [[…], …]}`."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    if not isinstance(value, dict) or set(value) - {"columns", "data", "index"} or "data" not in value:
        return None
    columns, data = value.get("columns"), value["data"]
    if not isinstance(columns, list) or not isinstance(data, list) or len(columns) > MOST_COLUMNS:
        return None
    if not all(isinstance(row, list) for row in data):
        return None
    rows = [tuple(_cell(cell) for cell in row) for row in data]
    return _shown(artifact, tuple(str(name) for name in columns), rows, page, truncated=False)


def _shown(
    artifact: Artifact, columns: tuple[str, ...], rows: list[tuple[str | None, ...]], page: Page, *, truncated: bool
) -> Preview:
    window = tuple(rows[page.offset : page.offset + page.limit])
    total = None if truncated else len(rows)
    more = truncated or page.offset + len(window) < len(rows)
    return _preview(artifact, "table", columns=columns, rows=window, offset=page.offset, total=total, truncated=more)


def _cell(value: object) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.encode(value).decode() if isinstance(value, dict | list) else str(value)
    return text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}…"


def _parquet(blobs: Blobs, artifact: Artifact, page: Page) -> Preview | None:
    """Read a window of a Parquet file: only the batches up to its end are decoded. None if it is none, or very large."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if artifact.size > LARGEST_TABLE:
        return None
    with _file(blobs, artifact) as path:
        try:
            with pq.ParquetFile(path) as file:
                names = tuple(file.schema_arrow.names)[:MOST_COLUMNS]
                rows = list(_rows(file, names, page))
                total = file.metadata.num_rows
        except (pa.ArrowException, OSError):
            return None
    more = page.offset + len(rows) < total
    return _preview(artifact, "table", columns=names, rows=tuple(rows), offset=page.offset, total=total, truncated=more)


def _rows(file: Any, names: tuple[str, ...], page: Page) -> Iterator[tuple[str | None, ...]]:
    passed = 0
    for batch in file.iter_batches(batch_size=ROWS, columns=list(names)):
        if passed + batch.num_rows > page.offset:
            start = max(0, page.offset - passed)
            columns = [column.to_pylist() for column in batch.slice(start, page.offset + page.limit - passed - start).columns]
            yield from (tuple(_cell(value) for value in row) for row in zip(*columns, strict=True))
        passed += batch.num_rows
        if passed >= page.offset + page.limit:
            return


@contextlib.contextmanager
def _file(blobs: Blobs, artifact: Artifact) -> Iterator[Path]:
    """Give a file of this machine with an artifact's bytes."""
    path = blobs.locate(artifact.blob)
    if path is not None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="perenne-") as place:
        copy = Path(place) / "artifact"
        with copy.open("wb") as stream:
            for chunk in artifacts.chunks(blobs, artifact):
                stream.write(chunk)
        yield copy
