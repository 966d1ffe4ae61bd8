"""What is to be drawn: the plots that dvc.yaml names, and their points out of CSV, TSV, JSON, YAML and pictures."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import msgspec

from perenne.core.errors import Invalid, PerenneError
from perenne.formats.dvc.interpolation import flattened
from perenne.formats.dvc.values import read_values, text_of
from perenne.protocols.dvc.revisions import PipelineAt, Revision

PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".svg": "image/svg+xml"}
STEP = "step"

Rows = list[dict[str, Any]]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One plot as dvc.yaml asks for it.

    Attributes
    ----------
    columns : tuple of (file, column or None)
        What goes up, each with the file it comes from; the last column if none is named.
    across : dict
        Per file the column that goes across; the number of the row if there is none. Under an empty name that of every file.
    """

    name: str
    columns: tuple[tuple[str, str | None], ...]
    across: dict[str, str] = {}
    title: str = ""
    x_label: str = ""
    y_label: str = ""
    template: str = ""
    header: bool = True


class Series(msgspec.Struct, frozen=True):
    """Points of one line: across and up, as they stand in the file."""

    name: str
    points: list[tuple[Any, Any]]


class Picture(msgspec.Struct, frozen=True):
    """A picture, with the revision it is of."""

    name: str
    media_type: str
    content: bytes


def asked_of(revision: Revision) -> dict[str, Asked]:
    """Return the plots of a revision by name: those of stages, then those of the section `plots`."""
    found: dict[str, Asked] = {}
    for at in revision.pipelines:
        for stage in at.pipeline.stages.values():
            for out in stage.outs:
                if out.kind == "plot":
                    place = at.place(out.path, stage.wdir)
                    found[place] = _of_output(place, out.plot)
        for item in at.pipeline.plots:
            for name, body in item.items() if isinstance(item, dict) else [(item, None)]:
                plot = _of_section(at, str(name), body or {})
                found[plot.name] = plot
    return found


def _of_output(place: str, flags: dict[str, Any]) -> Asked:
    across = {"": str(flags["x"])} if flags.get("x") else {}
    y = flags.get("y")
    return _labelled(Asked(name=place, columns=((place, y),), across=across, header=flags.get("header", True)), flags)


def _labelled(plot: Asked, said: dict[str, Any]) -> Asked:
    labels = {key: str(said.get(key) or "") for key in ("title", "x_label", "y_label", "template")}
    return msgspec.structs.replace(plot, **labels)


def _of_section(at: PipelineAt, name: str, body: dict[str, Any]) -> Asked:
    y, x = body.get("y"), body.get("x")
    if isinstance(y, dict):
        columns = [(at.place(file), column) for file, given in y.items() for column in _list(given)]
        shown = name
    else:
        shown = at.place(name)
        columns = [(shown, column) for column in _list(y)]
    across = {at.place(file): str(column) for file, column in x.items()} if isinstance(x, dict) else {"": str(x)} if x else {}
    return _labelled(Asked(name=shown, columns=tuple(columns), across=across), body)


def _list(given: Any) -> Sequence[str | None]:
    return [str(item) for item in given] if isinstance(given, list) else [None if given is None else str(given)]


def files_of(revision: Revision, plot: Asked) -> Iterator[tuple[str, str | None]]:
    """Go through the files of a plot with their columns; a folder stands for the files in it."""
    for file, column in plot.columns:
        inside = revision.files_below(file)
        for path in inside or [file]:
            yield path, column


def is_picture(path: str) -> bool:
    """Tell whether a file is a picture."""
    return PurePosixPath(path).suffix.lower() in PICTURES


def drawn(plot: Asked, revisions: Iterable[Revision]) -> tuple[list[Series], list[Picture], list[str]]:
    """Return the lines and pictures of a plot over some revisions, and what could not be read."""
    series: list[Series] = []
    pictures: list[Picture] = []
    troubles: list[str] = []
    chosen = list(revisions)
    for revision in chosen:
        for path, column in files_of(revision, plot):
            content = revision.read(path)
            if content is None:
                troubles.append(f"{path} is not there in {revision.name}")
            elif is_picture(path):
                pictures.append(Picture(f"{path} · {revision.name}", PICTURES[PurePosixPath(path).suffix.lower()], content))
            else:
                try:
                    series.append(_series(plot, path, column, content, revision.name, len(chosen) > 1))
                except PerenneError as error:
                    troubles.append(f"{error.message} ({revision.name})")
    return series, pictures, troubles


def _series(plot: Asked, path: str, column: str | None, content: bytes, revision: str, several: bool) -> Series:
    rows = rows_of(content, path, header=plot.header)
    if not rows:
        raise Invalid(f"{path}: there are no rows to draw", code="dvc.plot")
    up = column or list(rows[0])[-1]
    across = plot.across.get(path) or plot.across.get("")
    for name in (up, across):
        if name is not None and not any(name in row for row in rows):
            raise Invalid(f"{path}: there is no column {name!r}", code="dvc.plot", hint=f"columns: {', '.join(rows[0])}")
    points = [(row.get(across) if across else number, row.get(up)) for number, row in enumerate(rows) if up in row]
    parts = [*([revision] if several else []), *([path] if len({file for file, _ in plot.columns}) > 1 else []), up]
    return Series(" · ".join(parts), points)


def rows_of(content: bytes, path: str, *, header: bool = True) -> Rows:
    """Return the rows of a file, by column.

    Raises
    ------
    Invalid
        If it holds no rows.

    >>> rows_of(b"a,b\\n1,x\\n", "p.csv")
    [{'a': '1', 'b': 'x'}]
    >>> rows_of(b'{"loss": [{"e": 1, "v": 0.5}]}', "p.json")
    [{'e': 1, 'v': 0.5}]
    """
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in (".csv", ".tsv"):
        return _rows_of_text(text_of(content, path), "\t" if suffix == ".tsv" else ",", header)
    found = _first_list(read_values(content, path))
    if found is None:
        raise Invalid(f"{path}: there is no list of rows in it", code="dvc.plot", hint='write [{"epoch": 1, "loss": 0.5}, …]')
    return [dict(flattened(row)) for row in found]


def _rows_of_text(text: str, separator: str, header: bool) -> Rows:
    lines = [line for line in csv.reader(io.StringIO(text), delimiter=separator) if line]
    if not lines:
        return []
    names = lines[0] if header else [str(place) for place in range(len(lines[0]))]
    return [dict(zip(names, line, strict=False)) for line in lines[header:]]


def _first_list(value: Any) -> list[dict[str, Any]] | None:
    """Return the first list of mappings in a value, the outermost first."""
    pending = [value]
    while pending:
        here = pending.pop(0)
        if isinstance(here, list) and here and all(isinstance(row, dict) for row in here):
            return here
        if isinstance(here, dict):
            pending += here.values()
    return None
