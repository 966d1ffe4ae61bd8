import gzip
import zipfile
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import narwhals
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perenne.core.errors import Invalid, NotFound, PerenneError
from perenne.data import read_source

ROWS = {"a": [1, 2], "b": ["x", None]}


def refused(source: object) -> PerenneError:
    with pytest.raises(PerenneError) as caught:
        read_source(source)
    return caught.value


def written(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_every_form_of_a_file_gives_the_same_table(tmp_path: Path) -> None:
    text = "a,b\n1,x\n2,\n"
    with zipfile.ZipFile(tmp_path / "t.csv.zip", "w") as archive:
        archive.writestr("folder/t.csv", text)
    pq.write_table(pa.table(ROWS), tmp_path / "t.parquet")
    sources = [
        written(tmp_path / "t.csv", text),
        str(written(tmp_path / "t.tsv", text.replace(",", "\t"))),
        written(tmp_path / "t.csv.gz", gzip.compress(text.encode())),
        tmp_path / "t.csv.zip",
        tmp_path / "t.parquet",
        written(tmp_path / "t.jsonl", '{"a": 1, "b": "x"}\n\n{"a": 2}\n'),
        written(tmp_path / "t.json", '[{"a": 1, "b": "x"}, {"a": 2, "b": null}]'),
    ]
    for source in sources:
        assert read_source(source).equals(pa.table(ROWS)), source


def test_every_form_of_a_table_gives_the_same_table() -> None:
    table = pa.table(ROWS)
    connection = duckdb.connect()
    try:
        relation = connection.sql("select * from (values (1::bigint, 'x'), (2, null)) t(a, b)")
        sources = [
            table,
            table.to_reader(),
            table.to_batches()[0],
            ROWS,
            relation,
            narwhals.from_native(relation),
            narwhals.from_native(table),
        ]
        for source in sources:
            assert read_source(source).equals(table), type(source)
    finally:
        connection.close()


def test_types_become_the_five() -> None:
    at = datetime(2013, 1, 1, 12, tzinfo=UTC)
    table = read_source(
        {
            "small": pa.array([1], pa.uint8()),
            "half": pa.array([np.float16(0.5)], pa.float16()),
            "decimal": pa.array([Decimal("1.25")]),
            "level": pa.array(["x"]).dictionary_encode(),
            "large": pa.array(["x"], pa.large_string()),
            "view": pa.array(["x"], pa.string_view()),
            "day": pa.array([date(1850, 1, 2)]),
            "zoned": pa.array([at], pa.timestamp("ns", "America/New_York")),
            "clock": pa.array([time(5, 30)]),
            "length": pa.array([timedelta(milliseconds=1500)]),
            "nothing": pa.nulls(1),
            "flag": [True],
        }
    )
    assert {name: str(kind) for name, kind in zip(table.column_names, table.schema.types, strict=True)} == {
        "small": "int64", "half": "double", "decimal": "double", "level": "string", "large": "string", "view": "string",
        "day": "timestamp[us]", "zoned": "timestamp[us]", "clock": "string", "length": "double", "nothing": "string",
        "flag": "bool",
    }  # fmt: skip
    row = table.to_pylist()[0]
    assert row["zoned"] == at.replace(tzinfo=None)
    assert (row["decimal"], row["length"], str(row["day"])) == (1.25, 1.5, "1850-01-02 00:00:00")


def test_nan_is_missing_and_infinity_is_not() -> None:
    assert read_source({"x": [1.0, np.nan, np.inf]}).column("x").to_pylist() == [1.0, None, np.inf]


def test_no_such_file(tmp_path: Path) -> None:
    error = refused(tmp_path / "none.csv")
    assert isinstance(error, NotFound)
    assert error.code == "data.not_found"


@pytest.mark.parametrize(
    ("name", "data", "code", "words"),
    [
        ("t.parquet", b"PAR1 cut off", "data.parquet", "t.parquet"),
        ("t.csv", b"\x89PNG\r\n\x1a\n\0\0\0", "data.format", "no text"),
        ("t.csv.gz", b"\x1f\x8bbroken", "data.archive", "t.csv.gz"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,2\n" * 500, mtime=0)[:-20], "data.archive", "t.csv.gz"),
        ("t.zip", b"PK\x03\x04broken", "data.archive", "t.zip"),
        ("t.csv.gz", gzip.compress(b"a,b\n1\n", mtime=0), "data.ragged", "t.csv line 2"),
        ("t.jsonl", b'{"a": 1}\n{"a": \n', "data.json", "line 2"),
        ("t.jsonl", b'{"a": 1}\n[1]\n', "data.json", "line 2"),
        ("t.jsonl", b'{"a": 1}\n\n{"a": "x"}\n', "data.value", "line 3, column 'a': a text, and a number on line 1"),
        ("t.jsonl", b'{"a": 1}\n{"a": \xff}\n', "data.json", "line 2"),
        ("t.jsonl", b'{"a": {"b": 1}}\n', "data.nested_type", "column 'a'"),
        ("t.jsonl", b'{"a": ' + b"[" * 100_000, "data.json", "line 1"),
        ("t.jsonl", b"", "data.empty", "empty"),
        ("t.jsonl", b"{}\n{}\n", "data.empty", "no fields"),
        ("t.json", b'[{"a": 1}, 2]', "data.json", "t.json"),
        ("t.json", b"[]", "data.no_rows", "no rows"),
    ],
)
def test_a_broken_file_is_refused_by_name_and_place(tmp_path: Path, name: str, data: bytes, code: str, words: str) -> None:
    error = refused(written(tmp_path / name, data))
    assert (error.code, words in error.message) == (code, True), error.message
    assert isinstance(error, Invalid)


def test_an_archive_of_two_files_or_a_spreadsheet_is_refused(tmp_path: Path) -> None:
    for members, code in ((("a.csv", "b.csv"), "data.archive"), (("[Content_Types].xml",), "data.format")):
        with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
            for member in members:
                archive.writestr(member, "a\n1\n")
        assert refused(tmp_path / "t.zip").code == code


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ({"a": [[1], [2]]}, "data.nested_type"),
        ({"a": [b"x"]}, "data.nested_type"),
        ({"a": [1], "b": [1, 2]}, "data.value"),
        ({"a": pa.array([2**64 - 1], pa.uint64())}, "data.value"),
        ({}, "data.empty"),
        ({"a": pa.array([], pa.int64())}, "data.no_rows"),
        ({f"c{position}": [1] for position in range(10_000)}, "data.too_many_columns"),
        (pa.table([[1], [2]], names=["a", "a"]), "data.duplicate_column"),
        (object(), "data.source"),
        (None, "data.source"),
        (42, "data.source"),
        ("https://example.org/x.csv", "data.source"),
        (Path(), "data.source"),
    ],
)
def test_what_is_no_table_is_refused(source: object, code: str) -> None:
    assert refused(source).code == code


def test_a_parquet_file_of_too_many_columns_is_refused(tmp_path: Path) -> None:
    names = [f"c{position}" for position in range(5_001)]
    pq.write_table(pa.Table.from_arrays([pa.array([1])] * len(names), names), tmp_path / "t.parquet")
    assert refused(tmp_path / "t.parquet").code == "data.too_many_columns"


def test_kinds_name_columns_and_known_kinds(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "a\n1\n")
    assert read_source(path, kinds={"a": "text"}).column("a").to_pylist() == ["1"]
    with pytest.raises(Invalid, match="no column 'b'"):
        read_source(path, kinds={"b": "text"})
    with pytest.raises(Invalid, match="cannot be read as 'integer'"):
        read_source(path, kinds={"a": "integer"})
