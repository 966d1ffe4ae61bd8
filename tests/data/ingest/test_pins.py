"""Versions that are pointed to, not copied: read back as they were, or not at all; and snapshots that are written to lakes."""

import shutil
from collections.abc import Callable
from pathlib import Path

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from tests.data.ingest.conftest import Ingest

from perenne import data
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.data.ingest.lake_tables import How
from perenne.data.ingest.model import Outcome
from perenne.data.ingest.refreshing import refresh
from perenne.data.ingest.writing import Written, write
from perenne.data.model import Snapshot
from perenne.data.origins.pins import Pin, pin_of
from perenne.data.privacy.planning import Subject, locate
from perenne.storage.buckets import Bucket, open_bucket
from perenne.storage.links import Kind, links_from
from perenne.storage.workspace import Workspace

ROWS = pa.table({"id": [1, 2, 3], "day": ["mon", "tue", "mon"], "x": [0.5, None, 2.0]})
Write = Callable[..., Written]


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    from pyiceberg.catalog import load_catalog

    settings = {"type": "sql", "uri": f"sqlite:///{tmp_path}/catalog.db", "warehouse": f"file://{tmp_path}/lake"}
    monkeypatch.setattr("pyiceberg.catalog._ENV_CONFIG.config", {"catalog": {"lake": settings}})
    made = load_catalog("lake")
    made.create_namespace("shop")
    return made


@pytest.fixture
def taken(workspace: Workspace, actor: Principal) -> Snapshot:
    return data.take_snapshot(workspace.database, workspace.objects, actor, ROWS, dataset="orders", project="shop")


@pytest.fixture
def put(workspace: Workspace, actor: Principal, taken: Snapshot) -> Write:
    return lambda to, **given: write(workspace, actor, taken.id[:12], to, **given)


def rows_of(workspace: Workspace, snapshot: str) -> list[object]:
    return data.snapshots.read_snapshot(workspace.objects, snapshot).column("id").to_pylist()


def pointer(workspace: Workspace, snapshot: str) -> Pin:
    found = pin_of(workspace.objects.get(snapshot))
    assert found is not None
    return found


def test_a_delta_version_is_pinned_and_read_back_after_the_table_went_on(
    workspace: Workspace, actor: Principal, read: Ingest, tmp_path: Path
) -> None:
    place = str(tmp_path / "t")
    write_deltalake(place, ROWS)
    first = read(f"delta:{place}", mode="pin").refresh
    assert (first.rows, first.state) == (3, {"version": "0"})
    assert len(workspace.objects.get(first.snapshot)) < 1_000
    assert refresh(workspace, actor, "rows").refresh.outcome is Outcome.UNCHANGED
    write_deltalake(place, ROWS.slice(0, 1), mode="append")
    second = refresh(workspace, actor, "rows").refresh
    assert (second.outcome, second.rows) == (Outcome.NEW, 4)
    assert rows_of(workspace, first.snapshot) == [1, 2, 3]
    with workspace.database.read() as tx:
        kept = data.snapshots.get_snapshot(tx, first.snapshot)
    assert (kept.rows, [column.type for column in kept.columns]) == (3, ["int64", "string", "float64"])
    assert not workspace.objects.get(first.snapshot).startswith(b"PAR1")
    assert pointer(workspace, first.snapshot).version == "0" and pointer(workspace, second.snapshot).rows == 4


def test_a_pinned_version_that_was_vacuumed_or_made_anew_is_said_to_be(
    workspace: Workspace, read: Ingest, tmp_path: Path
) -> None:
    place = str(tmp_path / "t")
    write_deltalake(place, ROWS)
    first = read(f"delta:{place}", mode="pin").refresh.snapshot
    write_deltalake(place, ROWS, mode="overwrite")
    DeltaTable(place).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    with pytest.raises(NotFound, match="version 0 of the Delta table is gone") as gone:
        rows_of(workspace, first)
    assert gone.value.code == "data.pin_gone" and "retention" in gone.value.hint
    shutil.rmtree(place)
    with pytest.raises(NotFound, match="there is no Delta table"):
        rows_of(workspace, first)
    write_deltalake(place, ROWS)
    with pytest.raises(Conflict, match="the table was made anew"):
        rows_of(workspace, first)


def test_an_iceberg_snapshot_is_pinned_until_it_expires(
    workspace: Workspace, actor: Principal, read: Ingest, catalog: object
) -> None:
    table = catalog.create_table("shop.orders", schema=ROWS.schema)  # type: ignore[attr-defined]
    table.append(ROWS)
    first = read("iceberg:lake.shop.orders", mode="pin").refresh
    table.append(ROWS.slice(0, 1))
    assert refresh(workspace, actor, "rows").refresh.rows == 4
    assert rows_of(workspace, first.snapshot) == [1, 2, 3]
    table.maintenance.expire_snapshots().by_id(int(first.state["version"])).commit()
    with pytest.raises(NotFound, match="Iceberg table is gone"):
        rows_of(workspace, first.snapshot)


def test_files_are_pinned_by_what_is_in_them(workspace: Workspace, read: Ingest, tmp_path: Path, s3: str) -> None:
    folder = tmp_path / "d"
    (folder / "day=mon").mkdir(parents=True)
    pq.write_table(ROWS.select(["id"]), folder / "day=mon" / "a.parquet")
    first = read(str(folder), mode="pin").refresh
    assert [column.name for column in pointer(workspace, first.snapshot).columns] == ["id", "day"]
    (folder / "day=mon" / "a.parquet").touch()
    assert rows_of(workspace, first.snapshot) == [1, 2, 3]
    pq.write_table(ROWS.select(["id"]).slice(1), folder / "day=mon" / "a.parquet")
    with pytest.raises(Conflict, match="files came, went or changed"):
        rows_of(workspace, first.snapshot)
    name = s3.removeprefix("s3://").partition("/")[0]
    obstore.put(open_bucket(Bucket("s3", name)), "in/a.csv", b"id\n7\n")
    second = read(f"s3://{name}/in", dataset="cloud", mode="pin").refresh.snapshot
    assert rows_of(workspace, second) == [7]
    obstore.put(open_bucket(Bucket("s3", name)), "in/a.csv", b"id\n8\n")
    with pytest.raises(Conflict):
        rows_of(workspace, second)


def test_what_is_no_version_is_not_pinned(workspace: Workspace, read: Ingest, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n")
    for uri, given in (("sqlite:x.db", {"query": "select 1"}), ("https://example.org/a.csv", {})):
        with pytest.raises(Invalid, match="cannot be pointed to"):
            read(uri, mode="pin", **given)
    with pytest.raises(Invalid, match="holds a secret"):
        read("s3://bucket/a.csv?token=x", mode="pin")


def test_other_columns_are_not_pinned_unless_that_is_meant(
    workspace: Workspace, actor: Principal, read: Ingest, tmp_path: Path
) -> None:
    place = str(tmp_path / "t")
    write_deltalake(place, ROWS)
    read(f"delta:{place}", mode="pin")
    write_deltalake(place, pa.table({"id": ["a"], "day": ["x"]}), mode="overwrite", schema_mode="overwrite")
    found = refresh(workspace, actor, "rows")
    assert found.refresh.outcome is Outcome.REFUSED
    assert sorted(anomaly.id for anomaly in found.anomalies) == ["missing_column.x", "type.id"]
    assert refresh(workspace, actor, "rows", accept=True).refresh.outcome is Outcome.NEW


def test_a_person_in_pinned_rows_is_not_erased_here(workspace: Workspace, actor: Principal, read: Ingest, tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "t"), ROWS)
    read(f"delta:{tmp_path}/t", mode="pin")
    with workspace.database.read() as tx:
        found = data.snapshots.list_snapshots(tx)
    assert list(locate(workspace.objects, found, Subject("day", "sun"))) == []
    with pytest.raises(Conflict, match="2 of them are the person's"):
        list(locate(workspace.objects, found, Subject("day", "mon")))


@pytest.mark.parametrize("kind", ["delta", "iceberg", "folder", "bucket"])
def test_a_snapshot_is_written_once_and_what_is_there_is_pinned(
    workspace: Workspace, actor: Principal, put: Write, taken: Snapshot, tmp_path: Path, catalog: object, kind: str, s3: str
) -> None:
    to = {
        "delta": f"delta:{tmp_path}/t",
        "iceberg": "iceberg:lake.shop.orders",
        "folder": str(tmp_path / "d"),
        "bucket": s3.rpartition("/")[0] + "/out",
    }[kind]
    first = put(to)
    assert first.done and rows_of(workspace, first.pinned.id) == [1, 2, 3] and first.pinned.dataset == "orders"
    with workspace.database.read() as tx:
        links = {(link.relation, link.target) for link in links_from(tx, Kind.SNAPSHOT, first.pinned.id)}
    assert links == {("written_from", taken.id), ("taken_for", "shop")}
    again = put(to, how=How.APPEND)
    assert not again.done and again.pinned.id == first.pinned.id
    more = data.take_snapshot(workspace.database, workspace.objects, actor, ROWS.slice(2), dataset="orders")
    with pytest.raises(Conflict, match="there (is a table|are files)"):
        write(workspace, actor, more.id, to)
    behind = write(workspace, actor, more.id, to, how=How.APPEND)
    assert behind.done and sorted(map(str, rows_of(workspace, behind.pinned.id))) == ["1", "2", "3", "3"]
    instead = write(workspace, actor, more.id, to, how=How.OVERWRITE)
    assert instead.done and rows_of(workspace, instead.pinned.id) == [3]
    assert not write(workspace, actor, more.id, to, how=How.OVERWRITE).done
    if kind in ("delta", "iceberg"):
        assert rows_of(workspace, first.pinned.id) == [1, 2, 3]
    back = put(to, how=How.APPEND)
    assert back.done and back.pointer.rows == 4 and not put(to, how=How.APPEND).done
    with workspace.database.read() as tx:
        assert [record.action for record in audit.trail(tx)].count("snapshot.write") == 4


def test_rows_that_do_not_fit_or_places_that_cannot_be_written_change_nothing(
    workspace: Workspace, put: Write, tmp_path: Path, catalog: object
) -> None:
    write_deltalake(tmp_path / "t", pa.table({"id": ["a"]}))
    with pytest.raises(Invalid, match="do not fit"):
        put(f"delta:{tmp_path}/t", how=How.APPEND)
    assert DeltaTable(tmp_path / "t").version() == 0
    catalog.create_table("shop.other", schema=pa.schema([("id", pa.string())]))  # type: ignore[attr-defined]
    with pytest.raises(Invalid, match="do not fit"):
        put("iceberg:lake.shop.other", how=How.APPEND)
    with pytest.raises(NotFound, match="no namespace"):
        put("iceberg:lake.nowhere.orders")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "notes.txt").write_text("mine")
    with pytest.raises(Invalid, match=r"notes\.txt"):
        put(str(tmp_path / "d"), how=How.OVERWRITE)
    for to in ("https://example.org/x", "sqlite:x.db", f"delta:{tmp_path}/t?version=0", "s3://b/x?token=y"):
        with pytest.raises(Invalid):
            put(to)
    with pytest.raises(Invalid, match="no column 'z'"):
        put(str(tmp_path / "e"), partition=["z"])
    assert not (tmp_path / "e").exists()


def test_a_folder_in_parts_is_read_back_with_its_columns(workspace: Workspace, put: Write, tmp_path: Path) -> None:
    done = put(str(tmp_path / "d"), partition=["day"])
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == ["day=mon", "day=tue"]
    table = data.snapshots.read_snapshot(workspace.objects, done.pinned.id)
    assert sorted(zip(table["id"].to_pylist(), table["day"].to_pylist(), strict=True)) == [(1, "mon"), (2, "tue"), (3, "mon")]
    assert put(f"delta:{tmp_path}/t", partition=["day"]).pointer.rows == 3
    assert DeltaTable(tmp_path / "t").metadata().partition_columns == ["day"]
