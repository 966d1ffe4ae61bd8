import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.core.errors import Denied, Invalid, NotFound, Unavailable
from perenne.data import store, take_snapshot
from perenne.data.files import state_of, unchanged
from perenne.data.snapshots import get_snapshot, list_snapshots, read_snapshot, record_snapshot, to_parquet, write_snapshot
from perenne.storage.database import Database
from perenne.storage.links import Kind, links_from
from perenne.storage.objects import FileObjects, ObjectStore

TABLE = pa.table(
    {"a": [1, None, 3], "s": ["x", None, ""], "t": pa.array([0, None, 1], pa.timestamp("us")), "b": [True, None, False]}
)

columns = st.fixed_dictionaries(
    {},
    optional={
        "i": st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=12, max_size=12),
        "f": st.lists(st.none() | st.floats(allow_nan=False), min_size=12, max_size=12),
        "s": st.lists(st.none() | st.text(max_size=5), min_size=12, max_size=12),
        "b": st.lists(st.none() | st.booleans(), min_size=12, max_size=12),
    },
).filter(bool)


@given(columns, st.integers(0, 12), st.integers(0, 12))
def test_equal_rows_have_equal_bytes_however_they_are_cut(values: dict[str, list[object]], first: int, second: int) -> None:
    table = pa.table(values)
    cut = pa.concat_tables([table.slice(0, first), table.slice(first, second), table.slice(first + second)])
    assert to_parquet(cut) == to_parquet(table)
    dressed = table.replace_schema_metadata({"made": "today"})
    assert to_parquet(dressed) == to_parquet(table)


def test_the_bytes_name_no_version_and_other_readers_take_them(tmp_path: Path) -> None:
    data = to_parquet(TABLE)
    assert b"version" not in data
    (tmp_path / "t.parquet").write_bytes(data)
    assert pq.read_table(tmp_path / "t.parquet").equals(TABLE)
    connection = duckdb.connect()
    try:
        found = connection.execute("select a, s, b from read_parquet(?)", [str(tmp_path / "t.parquet")]).fetchall()
    finally:
        connection.close()
    assert found == [(1, "x", True), (None, None, None), (3, "", False)]


def test_another_process_gives_the_same_digest(objects: ObjectStore) -> None:
    program = (
        "import pyarrow as pa, hashlib; from perenne.data.snapshots import to_parquet;"
        "print(hashlib.sha256(to_parquet(pa.table({'a': [1, None, 3], 's': ['x', None, '']}))).hexdigest())"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": "src", "PYTHONHASHSEED": "1"},
    )  # fmt: skip
    assert run.stdout.strip() == write_snapshot(objects, pa.table({"a": [1, None, 3], "s": ["x", None, ""]}))


def test_rows_come_back_as_they_were_and_are_stored_once(objects: ObjectStore) -> None:
    digest = write_snapshot(objects, TABLE)
    assert write_snapshot(objects, TABLE) == digest
    assert list(objects.digests()) == [digest]
    assert read_snapshot(objects, digest).equals(TABLE)
    assert write_snapshot(objects, TABLE.slice(0, 2)) != digest


def test_a_damaged_snapshot_is_never_read(objects: ObjectStore) -> None:
    assert isinstance(objects, FileObjects)
    digest = write_snapshot(objects, TABLE)
    path = objects.root / digest[:2] / digest[2:]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(Unavailable):
        read_snapshot(objects, digest)


def test_a_record_says_what_was_taken_with_audit_and_lineage(database: Database, objects: ObjectStore, actor: Principal) -> None:
    digest = write_snapshot(objects, TABLE)

    def record(dataset: str) -> object:
        return database.write(
            lambda tx: record_snapshot(
                tx, actor, dataset=dataset, digest=digest, objects=objects, window=(5, 9), source="t.csv", project="p"
            )
        )

    first = record("rows")
    assert record("rows") == first
    record("others")
    with database.read() as tx:
        found = get_snapshot(tx, digest[:8])
        assert found == first
        assert (found.rows, found.start, found.end, found.source) == (3, 5, 9, "t.csv")
        assert [(column.name, column.type) for column in found.columns] == [
            ("a", "int64"),
            ("s", "string"),
            ("t", "timestamp"),
            ("b", "bool"),
        ]
        assert found.bytes == len(objects.get(digest))
        assert [item.dataset for item in list_snapshots(tx, "rows")] == ["rows"]
        assert len(list_snapshots(tx)) == 2
        assert [item.action for item in audit.trail(tx, entity="snapshot", entity_id=digest)] == ["snapshot.take"] * 2
        assert [(link.relation, link.target) for link in links_from(tx, Kind.SNAPSHOT, digest)] == [("taken_for", "p")]


def test_who_may_not_log_takes_no_snapshot(database: Database, objects: ObjectStore) -> None:
    digest = write_snapshot(objects, TABLE)
    with pytest.raises(Denied):
        database.write(lambda tx: record_snapshot(tx, Principal("eve"), dataset="d", digest=digest, objects=objects))


@pytest.mark.parametrize("identity", ["", "%", "zz", "' or 1=1 --"])
def test_an_unknown_snapshot_is_not_found(database: Database, objects: ObjectStore, actor: Principal, identity: str) -> None:
    digest = write_snapshot(objects, TABLE)
    database.write(lambda tx: record_snapshot(tx, actor, dataset="d", digest=digest, objects=objects))
    with database.read() as tx, pytest.raises(NotFound):
        get_snapshot(tx, identity)


class TestTakingFiles:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "t.csv"
        path.write_text("a,b\n1,x\n2,y\n")
        return path

    def test_an_unchanged_file_is_not_read_again(
        self, database: Database, objects: ObjectStore, actor: Principal, file: Path
    ) -> None:
        first = take_snapshot(database, objects, actor, file, dataset="t")
        state = file.stat()
        file.write_text("never,read\n1,2,3\n"[: state.st_size].ljust(state.st_size, "!"))
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
        assert take_snapshot(database, objects, actor, file, dataset="t") == first
        assert take_snapshot(database, objects, actor, str(file), dataset="u").id == first.id

    def test_a_changed_file_is(self, database: Database, objects: ObjectStore, actor: Principal, file: Path) -> None:
        first = take_snapshot(database, objects, actor, file, dataset="t")
        file.write_text("a,b\n1,x\n2,z\n")
        second = take_snapshot(database, objects, actor, file, dataset="t")
        assert (first.rows, second.rows) == (2, 2)
        assert first.id != second.id
        with database.read() as tx:
            assert {item.id for item in list_snapshots(tx, "t")} == {first.id, second.id}
            assert tx.scalar(select(func.count()).select_from(store.source_file)) == 1

    def test_a_second_write_at_once_is_seen(self, tmp_path: Path) -> None:
        path = tmp_path / "t"
        for attempt in range(5):
            path.write_bytes(b"%2d" % attempt)
            before = state_of(path)
            path.write_bytes(b"%2d" % (attempt + 50))
            assert not unchanged(before, state_of(path))

    def test_kinds_make_another_snapshot_of_the_same_file(
        self, database: Database, objects: ObjectStore, actor: Principal, file: Path
    ) -> None:
        first = take_snapshot(database, objects, actor, file, dataset="t")
        second = take_snapshot(database, objects, actor, file, dataset="t", kinds={"a": "text"})
        assert first.id != second.id
        assert take_snapshot(database, objects, actor, file, dataset="t") == first

    def test_a_snapshot_whose_bytes_are_gone_is_taken_again(
        self, database: Database, objects: ObjectStore, actor: Principal, file: Path
    ) -> None:
        first = take_snapshot(database, objects, actor, file, dataset="t")
        objects.delete(first.id)
        assert take_snapshot(database, objects, actor, file, dataset="t") == first
        assert objects.exists(first.id)

    def test_a_broken_file_leaves_nothing_behind(
        self, database: Database, objects: ObjectStore, actor: Principal, file: Path
    ) -> None:
        file.write_text("a,b\n1\n")
        with pytest.raises(Invalid):
            take_snapshot(database, objects, actor, file, dataset="t")
        with database.read() as tx:
            assert list_snapshots(tx) == []
            assert tx.scalar(select(func.count()).select_from(store.source_file)) == 0
            assert audit.trail(tx, entity="snapshot") == []
        assert list(objects.digests()) == []


def test_telling_that_nothing_changed_loads_no_table_engine() -> None:
    program = (
        "import sys; from perenne import data; data.take_snapshot, data.snapshots.write_snapshot;"
        "print([name for name in ('pyarrow', 'duckdb', 'narwhals', 'yaml') if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": "src"}
    )
    assert run.stdout.strip() == "[]"
