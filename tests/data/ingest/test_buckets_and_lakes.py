"""Objects of a bucket by their ETags; tables of lakes at one version, which can be asked for again, or is gone."""

from pathlib import Path

import obstore
import pyarrow as pa
import pytest
from tests.data.ingest.conftest import Ingest

from perenne import data
from perenne.auth.principals import Principal
from perenne.core.errors import Invalid, NotFound
from perenne.data.ingest.model import Outcome
from perenne.data.ingest.refreshing import refresh
from perenne.storage.buckets import Bucket, open_bucket
from perenne.storage.workspace import Workspace


def test_objects_below_a_prefix_are_read_when_one_changed(workspace: Workspace, actor: Principal, read: Ingest, s3: str) -> None:
    name = s3.removeprefix("s3://").partition("/")[0]
    store = open_bucket(Bucket("s3", name))
    obstore.put(store, "in/year=2026/a.csv", b"id\n1\n")
    obstore.put(store, "in/b.csv", b"id\n2\n")
    obstore.put(store, "inner/c.csv", b"id\n3\n")
    assert read(f"s3://{name}/in").refresh.rows == 2
    assert refresh(workspace, actor, "rows").refresh.outcome is Outcome.UNCHANGED
    obstore.put(store, "in/b.csv", b"id\n2\n5\n")
    found = refresh(workspace, actor, "rows").refresh
    assert data.snapshots.read_snapshot(workspace.objects, found.snapshot).column("id").to_pylist() == [2, 5, 1]
    assert read(f"s3://{name}/inner/c.csv", dataset="one", mode="append").refresh.rows == 1
    with pytest.raises(NotFound):
        read(f"s3://{name}/nothing", dataset="none")


def test_a_delta_table_is_read_at_a_version(workspace: Workspace, actor: Principal, read: Ingest, tmp_path: Path) -> None:
    from deltalake import DeltaTable, write_deltalake

    place = str(tmp_path / "orders")
    write_deltalake(place, pa.table({"id": [1, 2]}))
    first = read(f"delta:{place}").refresh
    assert (first.rows, first.state) == (2, {"version": "0"})
    assert refresh(workspace, actor, "rows").refresh.outcome is Outcome.UNCHANGED
    write_deltalake(place, pa.table({"id": [3]}), mode="append")
    assert refresh(workspace, actor, "rows").refresh.rows == 3
    again = read(f"delta:{place}?version=0", dataset="pinned").refresh
    assert again.snapshot == first.snapshot
    write_deltalake(place, pa.table({"id": [9]}), mode="overwrite")
    DeltaTable(place).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    with pytest.raises(NotFound, match="version 0 of the Delta table is gone"):
        read(f"delta:{place}?version=0", dataset="late")
    with pytest.raises(NotFound):
        read(f"delta:{tmp_path}/none", dataset="none")
    with pytest.raises(Invalid, match="is no number"):
        read(f"delta:{place}?version=x", dataset="bad")


def test_an_iceberg_table_is_read_at_a_snapshot(
    workspace: Workspace, actor: Principal, read: Ingest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyiceberg.catalog import load_catalog

    settings = {"TYPE": "sql", "URI": f"sqlite:///{tmp_path}/catalog.db", "WAREHOUSE": f"file://{tmp_path}/lake"}
    monkeypatch.setattr(
        "pyiceberg.catalog._ENV_CONFIG.config", {"catalog": {"lake": {k.lower(): v for k, v in settings.items()}}}
    )
    catalog = load_catalog("lake")
    catalog.create_namespace("shop")
    rows = pa.table({"id": [1, 2]})
    table = catalog.create_table("shop.orders", schema=rows.schema)
    table.append(rows)
    snapshot = table.current_snapshot()
    assert snapshot is not None
    pinned = snapshot.snapshot_id
    first = read("iceberg:lake.shop.orders").refresh
    assert (first.rows, first.state) == (2, {"version": str(pinned)})
    table.append(pa.table({"id": [3]}))
    assert refresh(workspace, actor, "rows").refresh.rows == 3
    assert read(f"iceberg:lake.shop.orders?version={pinned}", dataset="pinned").refresh.snapshot == first.snapshot
    assert read(f"iceberg:{table.metadata_location.removeprefix('file://')}", dataset="file").refresh.rows == 3
    with pytest.raises(NotFound, match="version 1 of the Iceberg table is gone"):
        read("iceberg:lake.shop.orders?version=1", dataset="gone")
    with pytest.raises(NotFound):
        read("iceberg:lake.shop.none", dataset="none")
