"""What people hand in, as the bytes of artifacts: dictionaries, figures, tables, folders."""

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perenne.core import json
from perenne.core.errors import Invalid
from perenne.core.hashing import digest_file, key_of

MAX_PARAM, MAX_TAG = 6_000, 8_000


def files_of(source: Path, folder: str) -> Iterator[tuple[Path, str]]:
    """Go through a file, or all files below a folder, each with its path among the artifacts."""
    above = f"{folder.strip('/')}/" if folder.strip("/") else ""
    if source.is_file():
        yield source, above + source.name
        return
    for place, folders, files in os.walk(source):
        folders.sort()
        for name in sorted(files):
            path = Path(place) / name
            yield path, f"{above}{source.name}/{path.relative_to(source).as_posix()}"


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file; of a folder, one of its files' names and digests.

    Raises
    ------
    Invalid
        If there is nothing.
    """
    if path.is_file():
        return digest_file(path)
    if not path.is_dir():
        raise Invalid(f"there is no file {str(path)[:200]!r}", code="client.data", hint="name a file or a folder")
    return key_of({name: digest_file(file) for file, name in files_of(path, "")})


def dumped(value: Any, path: str) -> bytes:
    """Write a dictionary or list: YAML if the name ends so, else JSON."""
    if path.endswith((".yaml", ".yml")):
        import yaml

        return bytes(yaml.safe_dump(json.plain(value), sort_keys=False, allow_unicode=True).encode())
    try:
        return json.pretty(value).encode()
    except TypeError as error:
        raise Invalid(f"{path[:100]}: {error}", code="client.artifact", hint="plain values, lists and dictionaries") from None


def drawn(figure: Any, path: str) -> bytes:
    """Draw a figure of matplotlib or Plotly as the file its name asks for."""
    kind = Path(path).suffix.lstrip(".").lower() or "png"
    if hasattr(figure, "savefig"):
        target = io.BytesIO()
        figure.savefig(target, format=kind)
        return target.getvalue()
    if hasattr(figure, "to_html") and hasattr(figure, "to_json"):
        return str(figure.to_json() if kind == "json" else figure.to_html(include_plotlyjs="cdn")).encode()
    raise Invalid(f"{path[:100]}: this is no figure", code="client.artifact", hint="one of matplotlib or Plotly")


def tabled(table: Any, path: str) -> bytes:
    """Write a table as CSV or Parquet by its name, else as JSON: `{"columns": […], "data": [[…]]}`."""
    names, rows = _table(table, path)
    if path.endswith(".parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        target = io.BytesIO()
        columns = zip(*rows, strict=True) if rows else [[] for _ in names]
        pq.write_table(pa.table(dict(zip(names, map(list, columns), strict=True))), target)
        return target.getvalue()
    if path.endswith(".csv"):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
        return text.getvalue().encode()
    return json.encode({"columns": names, "data": json.plain(rows)})


def _table(table: Any, path: str) -> tuple[list[str], list[list[Any]]]:
    columns = table
    for method in ("to_pydict", "to_dict"):
        if not isinstance(columns, dict | list) and hasattr(columns, method):
            columns = columns.to_dict("list") if _is_pandas(columns) else _listed(getattr(columns, method)())
    if isinstance(columns, list) and all(isinstance(row, dict) for row in columns):
        names = list(dict.fromkeys(name for row in columns for name in row))
        return [str(name) for name in names], [[row.get(name) for name in names] for row in columns]
    if isinstance(columns, dict) and len({len(values) for values in columns.values()}) <= 1:
        return [str(name) for name in columns], [list(row) for row in zip(*columns.values(), strict=True)]
    raise Invalid(
        f"{path[:100]}: this is no table", code="client.artifact", hint="columns of the same length, rows, or a data frame"
    )


def _is_pandas(table: Any) -> bool:
    return type(table).__module__.partition(".")[0] == "pandas"


def _listed(columns: dict[Any, Any]) -> dict[Any, list[Any]]:
    return {name: values.to_list() if hasattr(values, "to_list") else list(values) for name, values in columns.items()}
