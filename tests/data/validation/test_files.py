"""A file that is streamed is judged as the same rows in memory are."""

import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perenne.core.errors import Invalid
from perenne.data import profile_table, read_source
from perenne.data.model import Anomaly
from perenne.data.snapshots import write_snapshot
from perenne.data.validation import repeating, rows
from perenne.data.validation.checking import validate
from perenne.data.validation.inferring import infer_schema
from perenne.data.validation.opening import file_rows, snapshot_rows
from perenne.data.validation.rules import ColumnRules, RowRule, Schema, TableRules
from perenne.data.validation.schema import read_schema
from perenne.storage.objects import ObjectStore

SCHEMA = read_schema("""
table: {key: [id], time: at}
columns:
  id: {type: int64, unique: true}
  at: {type: timestamp, ascending: true, min: 2012-12-31}
  x: {type: float64, min: 0, max: 1, null_max: 0.5}
  s: {type: string, domain: [a, b], regex: '[a-z]', max_length: 2}
  f: {type: bool, nullable: false}
rules: {small: x < 0.9 or id = 0}
""")

NEW_YEAR = datetime.fromisoformat("2013-01-01")
cells = st.fixed_dictionaries({
    "id": st.none() | st.integers(-3, 3),
    "at": st.none() | st.datetimes(NEW_YEAR, NEW_YEAR.replace(month=12)),
    "x": st.none() | st.floats(width=32),
    "s": st.none() | st.text("abé\x00'\"", max_size=3),
    "f": st.none() | st.booleans(),
})  # fmt: skip
TYPES: dict[str, pa.DataType] = {
    "id": pa.int32(), "at": pa.timestamp("us"), "x": pa.float32(), "s": pa.string(), "f": pa.bool_(),
}  # fmt: skip
FIELDS = pa.schema(TYPES)


@settings(max_examples=25)
@given(st.lists(cells, min_size=1, max_size=12))
def test_a_file_of_parquet_is_judged_as_its_table(tmp_path_factory: pytest.TempPathFactory, found: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(found, FIELDS)
    path = tmp_path_factory.mktemp("rows") / "it's.parquet"
    pq.write_table(table, path, row_group_size=5)
    assert validate_file(path) == validate(table, SCHEMA)


def validate_file(path: Path, schema: Schema = SCHEMA, **how: Any) -> list[Anomaly]:
    with file_rows(path, schema, **how) as opened:
        return validate(opened, schema)


NAMES = ['say "x"', "a", "A", "c1", "r", "file_row_number", "line\nbreak", "é", "select"]


def test_names_that_sql_confuses_are_told_apart_in_a_file(tmp_path: Path) -> None:
    table = pa.table([pa.array([place, place, None]) for place in range(len(NAMES))], names=NAMES)
    pq.write_table(table, tmp_path / "x.parquet")
    schema = infer_schema(profile_table(table))
    assert validate_file(tmp_path / "x.parquet", schema) == []
    worse = table.set_column(2, "A", pa.array([99, 99, None]))
    pq.write_table(worse, tmp_path / "x.parquet")
    assert [item.id for item in validate_file(tmp_path / "x.parquet", schema)] == ["A.max"]


def test_every_type_of_parquet_is_read_as_the_reader_of_sources_does(tmp_path: Path) -> None:
    table = pa.table({
        "u8": pa.array([1, 2, None], pa.uint8()), "f16": pa.array([1.5, None, 2.5], pa.float32()),
        "d": pa.array([1, 2, None], pa.date32()), "ns": pa.array([1, 2_000, None], pa.timestamp("ns", "Europe/Berlin")),
        "ms": pa.array([5, 6, None], pa.timestamp("ms")), "dec": pa.array([1, 2, None], pa.int64()).cast(pa.decimal128(20, 1)),
        "dict": pa.array(["x", "y", None]).dictionary_encode(), "big": pa.array(["x", "y", None], pa.large_string()),
        "none": pa.nulls(3), "span": pa.array([1_500, 2_000, None], pa.duration("ms")),
        "clock": pa.array([1, 2, None], pa.time64("us")),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "x.parquet")
    plain = read_source(tmp_path / "x.parquet")
    with file_rows(tmp_path / "x.parquet", SCHEMA) as opened:
        streamed = pa.concat_tables(opened.batches(opened.names))
        assert opened.types == ["int64", "float64", *["timestamp"] * 3, "float64", *["string"] * 3, "float64", "string"]
    assert streamed.drop_columns("clock").to_pydict() == plain.drop_columns("clock").to_pydict()
    assert validate_file(tmp_path / "x.parquet", infer_schema(profile_table(plain))) == []


def test_lists_are_refused_and_a_broken_file_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [[1]]}), tmp_path / "x.parquet")
    with pytest.raises(Invalid, match="column 'x' holds list"):
        validate_file(tmp_path / "x.parquet")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(Invalid, match=r"x\.parquet is broken"):
        validate_file(tmp_path / "x.parquet")


CSV = "id;at;x;s;f\n" + "".join(f"{row};2013-01-0{1 + row % 9} 10:00;{row % 10},5;a;true\n" for row in range(9))


def test_a_large_csv_is_streamed_and_judged_as_a_small_one(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("\ufeff" + CSV + "8;NA;n/a;zzz;FALSE\n")
    small, large = validate_file(path), validate_file(path, large=0)
    assert small == large
    broken = {"id.unique", "x.max", "s.domain", "s.regex", "s.max_length", "rule.small"}
    assert {item.id for item in small} == broken


def test_what_cannot_be_read_in_a_large_csv_is_named_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(CSV + "007;2013-02-30;1e;b;maybe\n")
    found = {item.id: item for item in validate_file(path, large=0)}
    wrong = {name: item.sample_rows[0] for name, item in found.items() if item.check == "unreadable"}
    assert {name: (sample.row, sample.value) for name, sample in wrong.items()} == {
        "id.unreadable": (10, "007"),
        "at.unreadable": (10, "2013-02-30"),
        "x.unreadable": (10, "1e"),
        "f.unreadable": (10, "maybe"),
    }
    assert "f.nullable" not in found


@pytest.mark.parametrize(
    ("text", "words"), [("a,b\n1\n", "Expected 2 columns"), ("a,a\n1,2\n", "both called 'a'"), ("", "is empty")]
)
def test_a_large_csv_that_is_none_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(Invalid, match=words):
        validate_file(tmp_path / "x.csv", large=-1)


def test_nothing_is_left_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "x.csv").write_text(CSV)
    assert validate_file(tmp_path / "x.csv", large=0)
    (tmp_path / "x.csv").write_text(CSV + "1;2\n")
    with pytest.raises(Invalid):
        validate_file(tmp_path / "x.csv", large=0)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_snapshot_is_checked_against_its_digest_and_streamed(objects: ObjectStore) -> None:
    table = pa.table({"x": [1, 2, 3]})
    schema = infer_schema(profile_table(table))
    with snapshot_rows(objects, write_snapshot(objects, table)) as opened:
        assert isinstance(opened, rows.FileRows)
        assert validate(opened, schema) == []


@pytest.mark.parametrize(
    "predicate",
    [
        "id > (select count(*) from read_csv('/etc/passwd'))",
        "id > (select count(*) from read_parquet('{other}'))",
        "true); copy (select 1) to '{other}'; select (true",
        "true); set enable_external_access = true; select (true",
        "true); drop view t; select (true",
        "id > nothing",
    ],
)
def test_a_persons_sql_reaches_nothing_but_the_rows(tmp_path: Path, predicate: str) -> None:
    other, path = tmp_path / "other.parquet", tmp_path / "x.parquet"
    pq.write_table(pa.table({"id": [1]}), other)
    pq.write_table(pa.table({"id": [1, 2]}), path)
    before = other.read_bytes()
    rules = {"mine": RowRule(sql=predicate.format(other=other))}
    schema = Schema(table=TableRules(), columns={"id": ColumnRules(type="int64")}, rules=rules)
    with pytest.raises(Invalid, match="rule 'mine'") as caught:
        validate_file(path, schema)
    assert caught.value.code == "data.expectation"
    assert other.read_bytes() == before


@pytest.mark.parametrize("streamed", [True, False])
def test_a_condition_that_takes_too_long_is_given_up(tmp_path: Path, streamed: bool) -> None:
    endless = (
        "id >= (select count(*) from range(1000000) a, range(1000000) b, range(1000000) c where a.range + b.range <> c.range)"
    )
    schema = Schema(table=TableRules(), columns={"id": ColumnRules(type="int64")}, rules={"mine": RowRule(sql=endless)})
    table = pa.table({"id": [1, 2]})
    pq.write_table(table, tmp_path / "x.parquet")
    source = file_rows(tmp_path / "x.parquet", schema) if streamed else table
    with pytest.raises(Invalid, match="rule 'mine' took longer than 0.1 seconds"):
        validate(source, schema, seconds=0.1)


numbers = st.lists(st.none() | st.integers(0, 8) | st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=12)


@settings(max_examples=40)
@given(numbers)
def test_numbers_that_repeat_are_found_alike_in_both_ways(found: list[int | None]) -> None:
    table = pa.table({"x": pa.array(found, pa.int64())})
    with rows.TableRows(table) as opened:
        grouped = repeating._grouped(opened, ["x"])
        known = [value for value in found if value is not None]
        low = min(known, default=0)
        if known and max(known) - low < 1_000:
            assert repeating._numbered(opened, "x", low, max(known) - low + 1) == grouped
    seen: set[int] = set()
    again = [place for place, value in enumerate(found, 1) if value is not None and (value in seen or seen.add(value))]  # type: ignore[func-returns-value]
    assert (grouped[0], [sample.row for sample in grouped[1]]) == (len(again), again[:5])


def test_many_numbers_take_the_table_of_first_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeating, "_FEW", 0)
    monkeypatch.setattr(rows, "_BATCH", 4)
    pq.write_table(pa.table({"x": [5, 6, None, 5, 7, 8, 6, 9, 5]}), tmp_path / "x.parquet")
    schema = Schema(table=TableRules(key=("x",)), columns={"x": ColumnRules(type="int64")})
    found = {item.check: item for item in validate_file(tmp_path / "x.parquet", schema)}
    assert [(sample.row, sample.value) for sample in found["unique"].sample_rows] == [(4, "5"), (7, "6"), (9, "5")]
    assert found["nullable"].count == 1


def test_the_engine_of_a_file_opens_that_file_alone(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), tmp_path / "x.parquet")
    with file_rows(tmp_path / "x.parquet", SCHEMA) as opened:
        for query in ("set enable_external_access = true", "set memory_limit = '8GB'", "attach '/tmp/x.db'", "install httpfs"):
            with pytest.raises(duckdb.Error):
                opened.fetch([], query)


MEMORY = """
import sys
from datetime import datetime
from pathlib import Path
import duckdb, numpy, pyarrow.compute, pyarrow.parquet
from perenne.data.validation.checking import validate
from perenne.data.validation.opening import file_rows
from perenne.data.validation.schema import read_schema

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024

schema = read_schema(Path(sys.argv[2]).read_text())
before = peak()
found = validate(file_rows(sys.argv[1], schema), schema)
print(peak() - before, *(item.id for item in found))
"""


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc to ask")
def test_a_file_larger_than_the_memory_it_takes_is_validated(tmp_path: Path) -> None:
    rows_of_a_part, parts = 1_000_000, 20
    random = np.random.default_rng(0)
    levels = np.array([f"value {number:06}" for number in range(50_000)], object)
    texts = pa.array(levels[random.integers(0, 50_000, rows_of_a_part)], pa.string())
    types: dict[str, pa.DataType] = {"id": pa.int64(), "x": pa.float64(), "s": pa.string()}
    with pq.ParquetWriter(tmp_path / "x.parquet", pa.schema(types)) as writer:
        for part in range(parts):
            numbers = np.arange(part * rows_of_a_part, (part + 1) * rows_of_a_part)
            table = pa.table({"id": numbers, "x": random.normal(size=rows_of_a_part), "s": texts})
            writer.write_table(table)
    (tmp_path / "s.yaml").write_text(
        "table: {}\ncolumns:\n  id: {type: int64, unique: true, ascending: true}\n"
        "  x: {type: float64, min: -3}\n  s: {type: string, regex: 'value [0-9]+'}\n"
    )
    arguments = [sys.executable, "-c", MEMORY, str(tmp_path / "x.parquet"), str(tmp_path / "s.yaml")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, env={"PYTHONPATH": "src"})
    grown, *found = done.stdout.split()
    assert found == ["x.min"]
    assert int(grown) < parts * table.nbytes / (1 << 20) / 2
