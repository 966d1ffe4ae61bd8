"""The notebook: every code cell runs, and gives the figures of the profile it was written from."""

import ast
import contextlib
import io
import os
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perenne.auth.principals import Principal
from perenne.data import profile_table, read_source
from perenne.data.explore.notebook import write_notebook
from perenne.data.snapshots import record_snapshot, write_snapshot
from perenne.storage.workspace import Workspace

HOSTILE = ['"""', "'); import os; os.abort(); ('", "", "A", "a", "line\nbreak", "{braces}", "back\\", "\r", "🦄"]


def table(rows: int = 500) -> pa.Table:
    rng = np.random.default_rng(4)
    x = rng.normal(size=rows)
    made = pa.table(
        {
            "x": pa.array(x, mask=rng.random(rows) < 0.1),
            "y": x**2 + rng.normal(size=rows) * 0.1,
            "z": 2 * x + rng.normal(size=rows) * 0.2,
            "whole": rng.integers(0, 9, rows),
            "plan": pa.array(np.array(["basic", "pro"])[rng.integers(0, 2, rows)], mask=rng.random(rows) < 0.2),
            "mail": [f"user{number}@example.org" for number in range(rows)],
            "at": pa.array(np.arange(rows) * 3_600_000_000, pa.timestamp("us")),
            "late": x + rng.normal(size=rows) > 0.5,
        }
    )
    return pa.concat_tables([made, made.slice(0, 7)])


def run(notebook: bytes) -> list[tuple[str, Any]]:
    """Run the code cells in order, as a notebook does; return the source of each and the value of its last line."""
    found: list[tuple[str, Any]] = []
    names: dict[str, Any] = {"__name__": "notebook"}
    for cell in msgspec.json.decode(notebook)["cells"]:
        if cell["cell_type"] == "code":
            source = "".join(cell["source"])
            body = ast.parse(source)
            last = body.body.pop() if isinstance(body.body[-1], ast.Expr) else None
            value: Any = None
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(body, "cell", "exec"), names)
                if isinstance(last, ast.Expr):
                    value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
            found.append((source, value.fetchall() if hasattr(value, "fetchall") else value))
    return found


def words(source: str) -> set[str]:
    return set(re.findall(r'"[a-z]+"', source))


def by(found: list[tuple[str, Any]], *words: str) -> Any:
    return next(value for source, value in found if all(word in source for word in words))


def test_every_cell_runs_and_gives_the_figures_of_the_profile(tmp_path: Path) -> None:
    path = tmp_path / "it's.parquet"
    pq.write_table(table(), path)
    profile = profile_table(read_source(path), target="late", dataset="it's")
    found = run(write_notebook(profile, source=str(path)))
    assert by(found, "as repeated") == [(profile.duplicate_rows,)] == [(7,)]
    column = profile.column("x")
    assert column.numbers is not None
    cells = by(found, "asof join", '"x"').rows
    counts = {float(edge): count for edge, count in cells}
    assert counts == {edge: count for edge, count in zip(column.numbers.edges, column.numbers.counts, strict=False) if count}
    figures = by(found, "quantile_cont", '"x"')[0]
    assert figures[0] == column.nulls
    assert figures[6] == pytest.approx(list(column.numbers.quantiles))
    pairs = {(x, y): (r, rho) for x, y, r, rho in by(found, "as spearman")}
    assert len(pairs) == len(profile.pairs) >= 2
    for pair in profile.pairs:
        assert pairs[pair.x, pair.y] == pytest.approx(
            (pair.pearson, pair.spearman), abs=1e-3
        )  # ranks within the pair, or the column
        drawn = [
            value for source, value in found if source.startswith("Cells") and {f'"{pair.x}"', f'"{pair.y}"'} <= words(source)
        ]
        assert len(drawn) == 2 and pair.residuals is not None
        for cells, counted in zip(drawn, (pair.counts, pair.residuals.counts), strict=True):
            assert {(i, j): count for i, j, count in cells.rows} == {
                (i, j): count for i, row in enumerate(counted) for j, count in enumerate(row) if count
            }
    assert "<svg" in by(found, "Cells(")._repr_svg_() and "█" in repr(by(found, "Bars("))


def test_a_notebook_is_of_the_format_and_hides_personal_data(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(table(), path)
    notebook = write_notebook(profile_table(table(), target="late"), source=str(path))
    found = msgspec.json.decode(notebook)
    assert (found["nbformat"], found["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in found["cells"]}) == len(found["cells"])
    assert all(set(cell) <= {"cell_type", "id", "metadata", "source", "execution_count", "outputs"} for cell in found["cells"])
    assert b"example.org" not in notebook
    shown = by(run(notebook), '"mail"', "Bars(")
    assert "@" in repr(shown) and "example" not in repr(shown)


def test_a_notebook_of_a_snapshot_reads_it_by_its_id(
    workspace: Workspace, actor: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = write_snapshot(workspace.objects, table())
    workspace.database.write(lambda tx: record_snapshot(tx, actor, dataset="d", digest=digest, objects=workspace.objects))
    monkeypatch.setenv("PERENNE_HOME", str(workspace.settings.home))
    found = run(write_notebook(profile_table(table(), dataset="d", digest=digest)))
    assert by(found, "read_snapshot") == [(507,)]


def test_names_that_would_like_to_be_code_are_names(tmp_path: Path) -> None:
    hostile = pa.table({name: [float(place), 2.0, 3.0, None] for place, name in enumerate(HOSTILE)})
    path = tmp_path / "hostile.parquet"
    pq.write_table(hostile, path)
    before = dict(os.environ)
    found = run(write_notebook(profile_table(hostile, target="A"), source=str(path)))
    assert len(found) > 2 * len(HOSTILE)
    assert dict(os.environ) == before


def test_a_notebook_of_a_large_file_leaves_it_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(table(), path)
    found = run(write_notebook(profile_table(table()), source=str(path), large=True))
    assert found[0][1] == [(507,)]
    assert "read_source" not in found[0][0]


def test_many_columns_are_gone_through_in_a_loop(tmp_path: Path) -> None:
    wide = pa.table({f"c{number}": [1, 2, 2] for number in range(65)})
    path = tmp_path / "wide.parquet"
    pq.write_table(wide, path)
    assert "c64" in run(write_notebook(profile_table(wide), source=str(path)))[-1][0]
