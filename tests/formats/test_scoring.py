"""MLflow's scoring bodies as tables; what the whole protocol answers is in tests/protocols."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.core.errors import Invalid
from perenne.formats.scoring import Table, decode_csv, decode_json

CELLS = st.none() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=3) | st.booleans()


@given(st.integers(0, 4).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=5)))
def test_every_layout_of_the_same_rows_is_the_same_table(rows: list[list[object]]) -> None:
    names = [f"c{position}" for position in range(len(rows[0]))]
    records = [dict(zip(names, row, strict=True)) for row in rows]
    columns = {name: [row[position] for row in rows] for position, name in enumerate(names)}
    bodies = [{"dataframe_split": {"columns": names, "data": rows}}, {"dataframe_records": records}, {"instances": records}]
    tables = [decode_json(json.dumps(body).encode()).table for body in [*bodies, {"inputs": records}]]
    if names:
        tables.append(decode_json(json.dumps({"inputs": columns}).encode()).table)
    for table in tables:
        assert table.names == tuple(names) and table.rows == len(rows)
        assert [list(column) for column in table.columns] == [json.loads(json.dumps(columns[name])) for name in names] or any(
            "inf" in json.dumps(row).lower() for row in rows
        )


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r")), min_size=2, max_size=2), max_size=5))
def test_csv_reads_what_csv_writers_write(rows: list[list[str]]) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([["a", "b"], *rows])
    table = decode_csv(stream.getvalue().encode())
    assert table.names == ("a", "b") and table.rows == len(rows)
    assert [list(row) for row in zip(*table.columns, strict=True)] == [[value or None for value in row] for row in rows]


@given(st.binary(max_size=60))
def test_any_bytes_are_a_table_or_refused(body: bytes) -> None:
    for decode in (decode_csv, lambda data: decode_json(data).table):
        try:
            table: Table = decode(body)
        except Invalid:
            continue
        assert all(len(column) == table.rows for column in table.columns)


def test_rows_with_hardly_a_column_in_common_do_not_fill_the_memory() -> None:
    body = json.dumps({"dataframe_records": [{f"c{number}": 1} for number in range(5_000)]}).encode()
    with pytest.raises(Invalid, match="too few columns in common"):
        decode_json(body)
