"""Files of this machine: one, a folder of them (also one in parts, `year=2026/month=11/…`), or all that a pattern matches."""

import glob
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from perenne.core.errors import Invalid, NotFound
from perenne.data.origins.uniting import Part, unite
from perenne.data.sources import read_source
from perenne.data.tables import datatype_of

MAX_FILES = 100_000
_WILD = re.compile(r"[*?\[]")
_IN_PARTS = re.compile(r"([^=/]+)=([^/]*)")


def files_at(path: str) -> list[str]:
    """Return the files that a path, folder or pattern names, sorted; hidden ones and those that begin with `_` are left out.

    Raises
    ------
    NotFound
        If there is none.
    """
    if os.path.isfile(path):
        return [path]
    if os.path.isdir(path):
        every = (os.path.join(base, name) for base, _, names in os.walk(path) for name in names)
        found = [name for name in every if not _is_hidden(name, path)]
    elif _WILD.search(path):
        found = [each for each in glob.glob(path, recursive=True) if os.path.isfile(each)]
    else:
        raise NotFound(f"there is no file {path!r}", code="data.not_found", hint="paths are relative to the present folder")
    if not found:
        raise NotFound(f"there are no files at {path!r}", code="ingest.no_files", hint="is it the right folder or pattern?")
    if len(found) > MAX_FILES:
        raise Invalid(f"{len(found):,} files are too many", code="ingest.too_many", hint=f"at most {MAX_FILES:,} are read as one")
    return sorted(found)


def _is_hidden(name: str, root: str) -> bool:
    below = os.path.relpath(name, root)
    return any(part.startswith((".", "_")) for part in below.split(os.sep))


def states_of(files: Sequence[str]) -> dict[str, str]:
    """Return what tells for each file whether it changed: size, time of change, inode."""
    states = {}
    for name in files:
        state = os.stat(name)
        states[name] = f"{state.st_size} {state.st_mtime_ns} {state.st_ino}"
    return states


def read_files(files: Sequence[str], root: str, columns: Mapping[str, str] = {}) -> pa.Table:
    """Read files as one table; folders called `name=value` below the root become columns.

    Parameters
    ----------
    files, root : sequence of str, str
        As from `files_at`, and what they were found by.
    columns : mapping
        The types that columns had when they first came; see `read_as`.

    Raises
    ------
    Invalid
        If one cannot be read, or columns do not agree; the message names the file.
    """
    parts = (_part(name, root, columns) for name in files)
    return unite(parts) if len(files) > 1 else next(parts).table


def _part(name: str, root: str, columns: Mapping[str, str]) -> Part:
    below = os.path.relpath(name, root) if os.path.isdir(root) else ""
    return Part(below or Path(name).name, _with_parts(read_as(Path(name), columns), below))


_KINDS = {"string": "text", "int64": "number", "float64": "number", "timestamp": "time", "bool": "boolean"}


def read_as(file: Path, columns: Mapping[str, str]) -> pa.Table:
    """Read a file by what its columns were; where a value does not allow that, as it looks now, which the caller will notice."""
    table = read_source(file)
    other = {
        field.name: _KINDS[columns[field.name]]
        for field in table.schema
        if field.name in columns and datatype_of(field.type) != columns[field.name]
    }
    try:
        return read_source(file, kinds=other) if other else table
    except Invalid:
        return table


def _with_parts(table: pa.Table, below: str) -> pa.Table:
    for column, value in _IN_PARTS.findall(os.path.dirname(below)):
        if column not in table.column_names:
            missing = value == "__HIVE_DEFAULT_PARTITION__"
            whole = value.isascii() and value.isdigit() and (value == "0" or not value.startswith("0"))
            given = None if missing else int(value) if whole else value
            table = table.append_column(column, pa.array([given] * table.num_rows, pa.int64() if whole else pa.string()))
    return table
