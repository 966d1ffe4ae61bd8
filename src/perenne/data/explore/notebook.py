"""A profile as a notebook: a person can read, change and run again what every table and picture was made by.

The format is nbformat 4.5, written as it is specified; nothing is imported for it. Whoever opens it needs perenne, nothing else.
"""

from typing import Any

import msgspec

import perenne
from perenne.core import json
from perenne.data.explore import queries
from perenne.data.model import ColumnProfile, DataProfile, PairProfile
from perenne.data.validation.rows import quoted

_COLUMNS = 60
_PAIRS = 12
_TARGETS = 12

_HELP = '''class Bars:
    """Rows of (label, count) as bars; the last value of a cell is drawn by Jupyter, and told in text elsewhere."""

    def __init__(self, rows, label=0, count=-1):
        self.rows = [("(missing)" if row[label] is None else str(row[label]), float(row[count] or 0)) for row in rows]

    def __repr__(self):
        top = max([count for _, count in self.rows] or [1]) or 1
        return "\\n".join(f"{label[:30]:>30} {'█' * round(count / top * 40)} {count:g}" for label, count in self.rows)

    def _repr_svg_(self):
        top, body = max([count for _, count in self.rows] or [1]) or 1, ""
        for place, (label, count) in enumerate(self.rows):
            y = place * 18
            body += f'<text x="195" y="{y + 13}" text-anchor="end">{escape(label[:30])}</text>'
            body += f'<rect x="200" y="{y + 3}" width="{count / top * 300:.1f}" height="12" fill="#2f7f62"/>'
            body += f'<text x="{205 + count / top * 300:.1f}" y="{y + 13}">{count:g}</text>'
        return _svg(600, len(self.rows) * 18 + 4, body)


class Cells:
    """Rows of (i, j, count) as a picture of two columns together."""

    def __init__(self, rows, size=16):
        self.rows, self.size = [(i or 0, j or 0, count) for i, j, count in rows], size

    def __repr__(self):
        found = {(i, j): count for i, j, count in self.rows}
        shades, top = " ░▒▓█", max([*found.values(), 1])
        lines = range(self.size - 1, -1, -1)
        return "\\n".join("".join(shades[-(-4 * found.get((i, j), 0) // top)] * 2 for i in range(self.size)) for j in lines)

    def _repr_svg_(self):
        side, top = 320 / self.size, max([count for _, _, count in self.rows] or [1])
        body = "".join(
            f'<rect x="{i * side:.1f}" y="{(self.size - 1 - j) * side:.1f}" width="{side:.1f}" height="{side:.1f}" '
            f'fill="#2f7f62" fill-opacity="{0.1 + 0.9 * (count / top) ** 0.5:.2f}"/>' for i, j, count in self.rows
        )
        return _svg(320, 320, body)


def _svg(width, height, body):
    size = f'width="{width}" height="{height}" font-size="11" fill="currentColor"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{body}</svg>'


def rows(query):
    return db.sql(query).fetchall()'''

_OF_SNAPSHOT = """import duckdb
from html import escape

from perenne.data.snapshots import read_snapshot
from perenne.storage.workspace import Workspace

SNAPSHOT = {digest}
with Workspace() as workspace:  # of the present folder, or of PERENNE_HOME
    table = read_snapshot(workspace.objects, SNAPSHOT)
db = duckdb.connect()
data = db.from_arrow({renamed})
data.create_view("data")
db.sql("select count(*) as row_count from data")"""

_OF_FILE = """import duckdb
from html import escape

from perenne.data import read_source

SOURCE = {source}
table = read_source(SOURCE)
db = duckdb.connect()
data = db.from_arrow({renamed})
data.create_view("data")
db.sql("select count(*) as row_count from data")"""

_OF_LARGE_FILE = """import duckdb
from html import escape

SOURCE = {source}
db = duckdb.connect(config={{"memory_limit": "2GB"}})
data = db.read_parquet(SOURCE)
data.create_view("data")
db.sql("select count(*) as row_count from data")"""


def write_notebook(profile: DataProfile, *, source: str = "", large: bool = False) -> bytes:
    """Write a notebook that makes a profile's tables and pictures again.

    Parameters
    ----------
    profile : DataProfile
        Of a snapshot, which its digest names, or of a file.
    source : str
        The file's path, if it is of a file.
    large : bool
        Whether the file is too large to be held.
    """
    opening = _OF_LARGE_FILE if large else _OF_FILE if source else _OF_SNAPSHOT
    title = _line(profile.dataset or source or profile.digest[:12])
    names = _names(profile)
    renamed = f"table.rename_columns({list(names.values())!r})" if list(names) != list(names.values()) and not large else "table"
    profile = _renamed(profile, names)
    cells = [
        _told(f"# {title}\n\n{profile.rows:,} rows, {len(profile.columns):,} columns. Written by perenne {perenne.__version__} "
              "from the profile of these rows: each cell makes one of its tables or pictures again. Change them and run them."),
        _code(opening.format(source=repr(source), digest=repr(profile.digest), renamed=renamed)),
        _code(_HELP),
        _told("## Overview\n\nWhat DuckDB itself says; rows that repeat an earlier one; missing values."),
        _sql(queries.overview()), _sql(queries.duplicates()), *_of_missing(profile), *_of_pairs(profile), *_of_target(profile),
        *(cell for column in profile.columns[:_COLUMNS] for cell in _of_column(column)),
    ]  # fmt: skip
    if len(profile.columns) > _COLUMNS:
        others = [column.name for column in profile.columns[_COLUMNS:]]
        cells += [_told(f"## The other {len(others):,} columns"), _code(_others(others))]
    for place, cell in enumerate(cells):
        cell["id"] = f"cell-{place}"
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return json.encode({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def _names(profile: DataProfile) -> dict[str, str]:
    """Return what SQL calls the columns: it knows no empty name, and does not tell names apart by case."""
    seen: set[str] = set()
    found = {}
    for place, column in enumerate(profile.columns):
        name = column.name
        while not name or name.lower() in seen:
            name = f"{name or 'column'}_{place}"
        seen.add(name.lower())
        found[column.name] = name
    return found


def _renamed(profile: DataProfile, names: dict[str, str]) -> DataProfile:
    if all(old == new for old, new in names.items()):
        return profile
    replace = msgspec.structs.replace
    lacking = profile.missing
    if lacking is not None:
        lacking = replace(lacking, columns=tuple(names[name] for name in lacking.columns))
    return replace(
        profile,
        columns=tuple(replace(column, name=names[column.name]) for column in profile.columns),
        pairs=tuple(replace(pair, x=names[pair.x], y=names[pair.y]) for pair in profile.pairs),
        target=names.get(profile.target or ""),
        missing=lacking,
    )


def _told(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def _code(text: str) -> dict[str, Any]:
    source = text.splitlines(keepends=True)
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": source}


def _sql(query: str, drawn: str = "") -> dict[str, Any]:
    """Make a cell that runs a query and shows its rows, or a picture of them."""
    text = _string(query)
    return _code(f"{drawn.format(f'rows({text})')}" if drawn else f"db.sql({text})")


def _string(query: str) -> str:
    """Return a query as a Python string: over several lines to be edited, or escaped if a name in it would end that."""
    readable = all(letter.isprintable() or letter == "\n" for letter in query)
    return f'r"""\n{query}\n"""' if readable and '"""' not in query else repr(query)


def _line(text: str) -> str:
    """Return a name so that it is a piece of a line of Markdown, and no more."""
    plain = "".join(letter if letter.isprintable() else "␣" for letter in text[:200])
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>()#+-.!|&" else letter for letter in plain) or "(no name)"


def _of_missing(profile: DataProfile) -> list[dict[str, Any]]:
    if profile.missing is None:
        return []
    columns = profile.missing.columns[:20]
    return [_sql(queries.missing(columns)), _sql(queries.missing_together(columns[:8]))]


def _of_pairs(profile: DataProfile) -> list[dict[str, Any]]:
    if not profile.pairs:
        return []
    shown = profile.pairs[:_PAIRS]
    cells = [
        _told("## Pairs of columns\n\nA coefficient alone can mislead: look at the rows."),
        _sql(queries.correlations(shown)),
    ]
    return [*cells, *(cell for pair in shown for cell in _of_pair(pair))]


def _of_pair(pair: PairProfile) -> list[dict[str, Any]]:
    return [
        _told(f"### {_line(pair.y)} by {_line(pair.x)}\n\nTogether, and what a straight line leaves over."),
        _sql(queries.pair_cells(pair), "Cells({})"),
        _sql(queries.residual_cells(pair), "Cells({})"),
    ]


def _of_target(profile: DataProfile) -> list[dict[str, Any]]:
    told = [column for column in profile.columns if column.target is not None and not column.personal]
    if profile.target is None or not told:
        return []
    told.sort(key=lambda column: -(column.target.value if column.target else 0))
    cells = [_told(f"## The target, {_line(profile.target)}\n\nIts mean by value of the columns that tell most of it.")]
    for column in told[:_TARGETS]:
        cells += [_told(f"### By {_line(column.name)}"), _sql(queries.target_means(column, profile), "Bars({})")]
    return cells


def _of_column(column: ColumnProfile) -> list[dict[str, Any]]:
    cells = [_told(f"## {_line(column.name)}\n\n{column.type}, {column.nulls:,} missing, {column.distinct:,} different")]
    if column.numbers is not None:
        cells += [_sql(queries.numbers(column.name)), _sql(queries.histogram(column.name, column.numbers), "Bars({}, label=1)")]
    elif column.times is not None:
        cells += [_sql(queries.over_time(column.name, column.times.period), "Bars({})"), _sql(queries.gaps(column.name))]
    elif column.count:
        cells += [_sql(queries.top_values(column), "Bars({})")]
        cells += [_sql(queries.lengths(column.name))] if column.text is not None else []
    return cells


def _others(names: list[str]) -> str:
    listed = ",\n    ".join(repr(quoted(name)) for name in names)
    query = "select {name} as value, count(*) as row_count from data group by value order by row_count desc limit 5"
    return f"others = [\n    {listed},\n]\nfor name in others:\n    print(db.sql(f'{query}'))"
